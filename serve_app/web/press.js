/**
 * Push-to-talk: what a finger, a mouse, the space bar or a screen reader does, as begin, end and drop.
 *
 * Held, it records until it is let go; tapped, until it is tapped again. It knows nothing of microphones, and
 * nothing else knows of buttons: a hands-free mode would call the same `begin` and `end` instead.
 */

const HOLD_MS = 350; // a press longer than this is held, a shorter one a tap
const OWN_SPACE = 'button, a, input, select, textarea, summary, dialog, [contenteditable]';

/**
 * @param {HTMLElement} button
 * @param {{talking: () => boolean, begin: () => void, end: () => void, drop: () => void}} talk
 */
export function pushToTalk(button, talk) {
  let pressedAt = null;

  const press = () => {
    if (talk.talking()) {
      pressedAt = null;
      talk.end();
    } else {
      pressedAt = performance.now();
      talk.begin();
    }
  };
  const release = () => {
    const held = pressedAt !== null && performance.now() - pressedAt >= HOLD_MS;
    pressedAt = null;
    if (held) talk.end();
  };

  button.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId); // a finger that slips off still talks
    press();
  });
  button.addEventListener('pointerup', release);
  button.addEventListener('pointercancel', release);
  button.addEventListener('contextmenu', (event) => event.preventDefault()); // a long touch is no right click
  button.addEventListener('click', (event) => {
    // A pointer's click was handled by its press; Enter and screen readers send a click alone.
    if (event.detail !== 0) return;
    press();
    pressedAt = null;
  });

  const space = (event) => event.key === ' ' && (event.target === button || !event.target.closest?.(OWN_SPACE));
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !event.defaultPrevented && !document.querySelector('dialog[open]')) talk.drop();
    if (!space(event) || document.querySelector('dialog[open]') || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault(); // the page would scroll, the button would click
    if (!event.repeat) press();
  });
  document.addEventListener('keyup', (event) => {
    if (!space(event)) return;
    event.preventDefault();
    release();
  });
  window.addEventListener('blur', release);
}

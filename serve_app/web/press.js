/**
 * Push-to-talk: turns touch, mouse, space bar and screen reader input into begin, end and drop.
 *
 * Held, it records until released; tapped, until tapped again. It knows nothing of microphones, and nothing else
 * knows of buttons: a hands-free mode would call the same `begin` and `end`.
 */

const HOLD_MS = 350; // a longer press is a hold, a shorter one a tap
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
    button.setPointerCapture(event.pointerId); // keep recording if the finger slips off the button
    press();
  });
  button.addEventListener('pointerup', release);
  button.addEventListener('pointercancel', release);
  button.addEventListener('contextmenu', (event) => event.preventDefault()); // a long touch must not open the context menu
  button.addEventListener('click', (event) => {
    // A pointer's click was handled on press; Enter and screen readers send only a click.
    if (event.detail !== 0) return;
    press();
    pressedAt = null;
  });

  const space = (event) => event.key === ' ' && (event.target === button || !event.target.closest?.(OWN_SPACE));
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !event.defaultPrevented && !document.querySelector('dialog[open]')) talk.drop();
    if (!space(event) || document.querySelector('dialog[open]') || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault(); // otherwise the page scrolls or the button clicks
    if (!event.repeat) press();
  });
  document.addEventListener('keyup', (event) => {
    if (!space(event)) return;
    event.preventDefault();
    release();
  });
  window.addEventListener('blur', release);
}

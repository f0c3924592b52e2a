/**
 * Shows openapi.json. Where the server asks for a key, the page uses the token that the browser client keeps, or asks
 * for the key and exchanges it for a token; see docs/wire.md, "Keys".
 */

const TOKEN = 'parle.token';
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
const byId = (id) => document.getElementById(id);

/** An element with text or elements in it; nothing is ever read as HTML. */
function element(name, ...inside) {
  const made = document.createElement(name);
  made.append(...inside);
  return made;
}

function loadToken() {
  try {
    return JSON.parse(localStorage.getItem(TOKEN));
  } catch {
    return null;
  }
}

function saveToken(token) {
  try {
    localStorage.setItem(TOKEN, JSON.stringify(token));
  } catch {
    // without storage the key is asked for again next time
  }
}

async function load(token) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch('openapi.json', { headers });
  if (answer.status === 401) {
    byId('key').hidden = false;
    return;
  }
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  show(await answer.json());
}

async function exchange(key) {
  const answer = await fetch('api/token', { method: 'POST', headers: { Authorization: `Bearer ${key}` } });
  if (!answer.ok) {
    byId('key-wrong').hidden = false;
    return;
  }
  const { token } = await answer.json();
  saveToken(token);
  byId('key-field').value = '';
  byId('key').hidden = true;
  await load(token);
}

function show(api) {
  byId('title').textContent = `${api.info.title}: HTTP API`;
  byId('about').textContent = api.info.description;
  byId('raw').hidden = api.components.securitySchemes && Object.values(api.paths).some(needsKey);
  const contents = element('ul');
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const id = `${method}${path}`;
      const link = element('a', `${method.toUpperCase()} ${path}`);
      link.href = `#${id}`;
      contents.append(element('li', link));
      byId('operations').append(operation(id, method, path, item[method]));
    }
  }
  byId('contents').append(contents);
}

function needsKey(item) {
  return METHODS.some((name) => item[name]?.security?.length);
}

function operation(id, method, path, described) {
  const made = element('article', element('h2', element('code', `${method.toUpperCase()} ${path}`)));
  made.id = id;
  made.append(element('p', described.summary ?? ''));
  for (const [kind, content] of Object.entries(described.requestBody?.content ?? {})) {
    made.append(element('h3', 'Sent: ', element('code', kind)), fields(content.schema));
  }
  for (const sample of described['x-codeSamples'] ?? []) made.append(element('pre', sample.source));
  for (const [status, answer] of Object.entries(described.responses)) {
    const kinds = Object.keys(answer.content ?? {}).join(', ');
    made.append(element('p', element('strong', status), ` ${answer.description} `, element('code', kinds)));
  }
  return made;
}

function fields(schema) {
  const rows = Object.entries(schema.properties ?? {}).map(([name, field]) =>
    element(
      'tr',
      element('th', element('code', name)),
      element('td', kindOf(field)),
      element('td', schema.required?.includes(name) ? 'required' : standard(field)),
      element('td', field.description ?? ''),
    ),
  );
  const scroll = element('div', element('table', element('tbody', ...rows)));
  scroll.className = 'scroll';
  return scroll;
}

function standard(field) {
  const shown = field.default === undefined || field.default === null ? '' : JSON.stringify(field.default);
  return shown && element('span', 'default ', element('code', shown));
}

/** In a few words: `number, 0.5 to 2`, `"a", "b" or "c"`. */
function kindOf(field) {
  if (field.anyOf) return field.anyOf.filter((one) => one.type !== 'null').map(kindOf).join(' or ');
  if (field.enum) return field.enum.map((one) => JSON.stringify(one)).join(', ');
  if (field.type === 'array') return `list of ${kindOf(field.items ?? {})}`;
  const least = field.minimum ?? field.exclusiveMinimum;
  const most = field.maximum ?? field.exclusiveMaximum;
  const range = [least === undefined ? '' : `from ${least}`, most === undefined ? '' : `to ${most}`];
  const length = field.maxLength ? `up to ${field.maxLength} characters` : '';
  return [field.format ?? field.type ?? 'anything', range.filter(Boolean).join(' '), length].filter(Boolean).join(', ');
}

function failed() {
  byId('failed').hidden = false;
}

byId('key').addEventListener('submit', (event) => {
  event.preventDefault();
  byId('key-wrong').hidden = true;
  exchange(byId('key-field').value.trim()).catch(failed);
});
load(loadToken()).catch(failed);

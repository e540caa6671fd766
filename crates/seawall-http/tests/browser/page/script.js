// Runs the part that the address names, and reports what came of it.
'use strict';

const query = new URLSearchParams(location.search);

function report(value) {
  // A plain text body needs no permission from the other origin.
  return fetch(query.get('report'), { method: 'POST', mode: 'no-cors', body: JSON.stringify(value) });
}

const once = (target, name) => new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));
const socketUrl = (host) => `ws://${host}/socket`;

async function open(protocols) {
  const socket = new WebSocket(socketUrl(location.host), protocols);
  socket.binaryType = 'arraybuffer';
  await once(socket, 'open');
  return socket;
}

async function closed(socket) {
  const { code, reason, wasClean } = await once(socket, 'close');
  return [code, reason, wasClean];
}

const parts = {
  async page() {
    const color = getComputedStyle(document.getElementById('styled')).color;
    const again = await fetch('style.css');
    await again.text();
    const revalidated = await (await fetch('/revalidated')).text();
    return { title: document.title, color, again: again.status, revalidated };
  },

  async socket() {
    let socket = await open(['shop.v1', 'shop.v2']);
    const { protocol, extensions } = socket;
    socket.send('κόσμε 🦀');
    const text = (await once(socket, 'message')).data;
    socket.send(new Uint8Array(200000).fill(7));
    const bytes = new Uint8Array((await once(socket, 'message')).data);
    const binary = bytes.every((byte) => byte === 7) ? bytes.length : 'damaged';
    const all = new Promise((resolve) => {
      let many = 0;
      socket.onmessage = ({ data }) => {
        if (data !== `message ${many}`) resolve(`${data} as number ${many}`);
        many += 1;
        if (many === 500) resolve(many);
      };
    });
    for (let number = 0; number < 500; number += 1) socket.send(`message ${number}`);
    const many = await all;
    socket.send('close me');
    const serverClosed = await closed(socket);
    socket = await open([]);
    socket.close(4000, 'mine');
    const clientClosed = await closed(socket);
    return { protocol, extensions, text, binary, many, server_closed: serverClosed, client_closed: clientClosed };
  },

  events() {
    return new Promise((resolve) => {
      const source = new EventSource('/events');
      const seen = [];
      const note = ({ type, lastEventId, data }) => {
        seen.push([type, lastEventId, data]);
        if (seen.length === 7) {
          source.close();
          resolve(seen);
        }
      };
      source.addEventListener('message', note);
      source.addEventListener('even', note);
    });
  },

  async upload() {
    const bytes = Uint8Array.from({ length: 300000 }, (_, at) => at % 250);
    const form = new FormData();
    form.append('title', 'zwei Wörter');
    form.append('file', new File([bytes], 'größe 1.bin'));
    return (await fetch('/upload', { method: 'POST', body: form })).text();
  },

  async sealed() {
    const style = (await fetch('style.css')).status;
    const ask = async () => (await fetch('/revalidated')).status;
    const many = (await Promise.all(Array.from({ length: 50 }, ask))).filter((status) => status === 200).length;
    const events = await parts.events();
    const upload = await parts.upload();
    const socket = new WebSocket(`wss://${location.host}/socket`);
    await once(socket, 'open');
    socket.send('hello');
    const text = (await once(socket, 'message')).data;
    const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
    const protocols = [...new Set(entries.map((entry) => entry.nextHopProtocol).filter((name) => name !== ''))];
    return { style, many, events: events.map(([, id]) => id), upload, text, protocols };
  },

  async origin() {
    const knock = (host) => new Promise((resolve) => {
      const socket = new WebSocket(socketUrl(host));
      socket.onopen = () => resolve('open');
      socket.onerror = () => resolve('refused');
    });
    // The same server under another name is another origin.
    const other = `localhost:${location.port}`;
    return { own: await knock(location.host), other: await knock(other) };
  },

  async cors() {
    const api = `http://localhost:${location.port}/open`;
    const text = async (path, options) => (await fetch(api + path, options)).text();
    const status = async (path, options) => (await fetch(api + path, options)).status;
    const change = await fetch(`${api}/change`, {
      method: 'PUT', body: 'boots', headers: { 'content-type': 'text/plain', 'x-request-id': '7' },
    });
    return {
      read: await text('/read'),
      change: [await change.text(), change.headers.get('x-total')],
      credentials: await text('/read', { credentials: 'include' }),
      fails: await status('/fails'),
      missing: await status('/missing'),
      method: await status('/read', { method: 'POST' }),
      unlisted: await status('/read', { method: 'DELETE' }).catch(() => 'not even asked'),
    };
  },

  async closed() {
    const api = `http://localhost:${location.port}/closed`;
    const refused = (path, options) => fetch(api + path, options).then(() => 'readable', () => 'refused');
    return { read: await refused('/read'), change: await refused('/change', { method: 'PUT', body: 'boots' }) };
  },

  async csrf() {
    // Submits a form into a frame of its own, and waits until that has an answer.
    const submit = async (action) => {
      const frame = document.createElement('iframe');
      frame.name = `frame of ${action}`;
      const form = document.createElement('form');
      Object.assign(form, { method: 'post', action, target: frame.name });
      document.body.append(frame, form);
      const loaded = once(frame, 'load');
      form.submit();
      await loaded;
      return frame;
    };
    const stranger = `http://localhost:${location.port}/pay`;
    const own = await (await fetch('/pay', { method: 'POST' })).text();
    const form = (await submit('/pay')).contentDocument.body.textContent;
    await fetch(stranger, { method: 'POST', mode: 'no-cors', body: 'all' });
    await submit(stranger);
    return { own, form, stranger: 'sent', strangers_form: 'sent' };
  },

  async compression() {
    const read = async (path) => {
      const answer = await fetch(path);
      const text = await answer.text();
      const [entry] = performance.getEntriesByName(new URL(path, location).href);
      return [answer.headers.get('content-encoding'), text.length, entry.encodedBodySize < entry.decodedBodySize];
    };
    const by = async (coding) => ({
      whole: await read(`/${coding}/whole`), stream: await read(`/${coding}/stream`), short: await read(`/${coding}/short`),
    });
    const [gzip, br, zstd] = [await by('gzip'), await by('br'), await by('zstd')];
    const plain = await (await fetch('/gzip/whole')).blob();
    const body = await new Response(plain.stream().pipeThrough(new CompressionStream('gzip'))).blob();
    const headers = { 'content-encoding': 'gzip', 'content-type': 'text/plain' };
    const upload = await (await fetch('/upload', { method: 'POST', body, headers })).text();
    return { gzip, br, zstd, upload };
  },

  async static() {
    const color = getComputedStyle(document.getElementById('styled')).color;
    const type = async (path) => (await fetch(path)).headers.get('content-type');
    const status = async (path) => (await fetch(path)).status;
    const again = await fetch('style.css');
    const range = await fetch('notes.txt', { headers: { range: 'bytes=2-4', 'accept-encoding': 'identity' } });
    const precompressed = await fetch('notes.txt');
    const route = await fetch('users/7');
    return {
      color,
      types: [await type('style.css'), await type('script.js')],
      again: [again.status, (await again.text()).includes('#styled')],
      range: [range.status, range.headers.get('content-range'), await range.text()],
      precompressed: [precompressed.headers.get('content-encoding'), await precompressed.text()],
      route: [route.status, route.headers.get('content-type')],
      missing: await status('nothing.js'),
      outside: [await status('..%2fsecret.txt'), await status('%2e%2e%2fsecret.txt'), await status('..%5csecret.txt')],
    };
  },

  async drain() {
    const socket = await open([]);
    const source = new EventSource('/endless');
    await once(source, 'message');
    const events = once(source, 'error').then(() => {
      source.close(); // or it would come back, to nobody
      return 'ended';
    });
    const socketClosed = closed(socket);
    await report('open');
    return { socket: await socketClosed, events: await events };
  },
};

addEventListener('load', () => {
  parts[query.get('part')]().catch((error) => `failed: ${error}`).then(report).then(() => console.log('the end of the page'));
});

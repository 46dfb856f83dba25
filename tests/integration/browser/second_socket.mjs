// SPDX-License-Identifier: Apache-2.0
// A second connection to the phone, opened inside the page so that it has the page's cookie and
// origin: it sees the state tree without the app, and measures how long the phone takes.

/** Opens it under window.second_socket; `call` and `state` are its doors. */
export function open_second_socket(page) {
  return page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(`wss://${location.host}/api/v1/socket`, 'conclave.v1');
        socket.binaryType = 'arraybuffer';
        const pending = new Map();
        const patches = [];
        const watchers = new Set();
        let next = 1;
        const merge = (tree, patch) => {
          for (const [key, value] of Object.entries(patch)) {
            if (value === null) delete tree[key];
            else if (typeof value === 'object' && !Array.isArray(value)) {
              tree[key] = merge(typeof tree[key] === 'object' ? tree[key] : {}, value);
            } else tree[key] = value;
          }
          return tree;
        };
        const second = {
          state: undefined,
          meter_frames: 0,
          meter_bytes: 0,
          patches,
          watchers,
          call(method, params = {}) {
            return new Promise((done, fail) => {
              const id = next++;
              pending.set(id, { done, fail });
              socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
            });
          },
        };
        socket.onerror = () => reject(new Error('second socket refused'));
        socket.onmessage = ({ data }) => {
          if (typeof data !== 'string') {
            second.meter_frames++;
            second.meter_bytes = data.byteLength;
            return;
          }
          const message = JSON.parse(data);
          if (message.method === 'state.snapshot') {
            second.state = message.params.state;
            window.second_socket = second;
            resolve(true);
          } else if (message.method === 'state.patch') {
            merge(second.state, message.params.patch);
            for (const watcher of watchers) watcher(message.params.patch, performance.now());
          } else if (pending.has(message.id)) {
            const { done, fail } = pending.get(message.id);
            pending.delete(message.id);
            if (message.error) fail(new Error(message.error.message));
            else done(message.result);
          }
        };
      }),
  );
}

export const phone_state = (page) => page.evaluate(() => window.second_socket.state);

/** Round trips of ping, ms. */
export const ping_times = (page, count) =>
  page.evaluate(async (n) => {
    const times = [];
    for (let i = 0; i < n; ++i) {
      const start = performance.now();
      await window.second_socket.call('ping', { t: i });
      times.push(performance.now() - start);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return times;
  }, count);

/** From the command to the state patch that tells of it, ms; ends with the phone not muted. */
export const mute_to_patch_times = (page, count) =>
  page.evaluate(async (n) => {
    const second = window.second_socket;
    const times = [];
    for (let i = 0; i < 2 * n; ++i) {
      const muted = i % 2 === 0;
      const told = new Promise((resolve, reject) => {
        const watcher = (patch, at) => {
          if (patch.call?.muted !== muted) return;
          second.watchers.delete(watcher);
          resolve(at);
        };
        second.watchers.add(watcher);
        setTimeout(() => reject(new Error('no patch within 3 s')), 3000);
      });
      const start = performance.now();
      await second.call('call.mute', { muted });
      times.push((await told) - start);
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    return times;
  }, count);

/** From a click on the button to the changed button on the page, ms; ends not muted. */
export const click_to_button_times = (page, count) =>
  page.evaluate(async (n) => {
    const times = [];
    for (let i = 0; i < 2 * n; ++i) {
      const button = document.querySelector('button.mute');
      const before = button.getAttribute('aria-pressed');
      const start = performance.now();
      const changed = new Promise((resolve, reject) => {
        const observer = new MutationObserver(() => {
          if (button.getAttribute('aria-pressed') === before) return;
          observer.disconnect();
          resolve(performance.now());
        });
        observer.observe(button, { attributes: true });
        setTimeout(() => reject(new Error('the button did not change within 3 s')), 3000);
      });
      button.click();
      times.push((await changed) - start);
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    return times;
  }, count);

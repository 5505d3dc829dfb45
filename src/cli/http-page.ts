/** The page of `millrace http`: opens a WebSocket and shows the server's figures, and another one that echoes. */

export const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>millrace</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 40rem; padding: 0 1rem; }
  table { border-collapse: collapse; }
  td { padding: 0.2rem 1.5rem 0.2rem 0; }
  td:last-child { font-variant-numeric: tabular-nums; text-align: right; }
  #state { color: #777; }
  input { font: inherit; width: 20rem; }
</style>
<h1>millrace</h1>
<p id="state">connecting</p>
<table id="figures"></table>
<h2>Echo</h2>
<form id="form"><input id="text" value="hello" aria-label="message"> <button>Send</button></form>
<pre id="echo"></pre>
<script>
  const base = location.origin.replace(/^http/, 'ws');
  const find = (id) => document.getElementById(id);
  const state = find('state');
  const labels = {
    driver: 'Driver', reactors: 'Reactors', connections: 'Connections now', opened: 'Connections so far',
    receives: 'Messages received', bytesReceived: 'Bytes received', bytesSent: 'Bytes sent',
    residentBytes: 'Memory, bytes',
  };
  function watch() {
    const socket = new WebSocket(base + '/figures');
    socket.onopen = () => { state.textContent = 'live'; };
    socket.onmessage = ({ data }) => {
      const figures = JSON.parse(data);
      find('figures').replaceChildren(...Object.keys(labels).map((name) => {
        const row = document.createElement('tr');
        const value = figures[name];
        row.insertCell().textContent = labels[name];
        const cell = row.insertCell();
        cell.id = name;
        cell.textContent = typeof value === 'number' ? value.toLocaleString('en') : value;
        return row;
      }));
    };
    socket.onclose = () => { state.textContent = 'gone, trying again'; setTimeout(watch, 1000); };
  }
  watch();
  let echo;
  find('form').onsubmit = (event) => {
    event.preventDefault();
    const send = () => echo.send(find('text').value);
    if (echo && echo.readyState === 1) return send();
    echo = new WebSocket(base + '/ws');
    echo.onopen = send;
    echo.onmessage = ({ data }) => { find('echo').textContent += data + '\\n'; };
  };
</script>
`;

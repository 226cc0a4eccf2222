// A user of the TypeScript client, in a page or in Node: sends numbers without a pause and notes those that it gets.
//
// When it has come to yet another node `moves` times, it says `enough`, and once the node has said its `last`, what it saw, as `report …`.

export function talk(ForeshiftSocket, url, moves, options) {
  const stints = [];
  const told = [];
  let sent = 0;
  const socket = new ForeshiftSocket(url, ['numbers'], options);
  for (const type of ['open', 'stayed', 'reconnecting', 'error', 'close']) {
    socket.addEventListener(type, (event) => told.push([type, event.detail?.why]));
  }
  socket.addEventListener('migrated', ({ detail }) => told.push(['migrated', detail.complete]));
  const timer = setInterval(() => {
    for (let burst = 0; burst < 3 && socket.readyState === 1; burst++) socket.send(String(++sent));
  }, 1);
  let isEnough = false;
  socket.onmessage = ({ data }) => {
    const [node, said] = data.split(' ');
    if (said === 'last') {
      clearInterval(timer);
      socket.send(`report ${JSON.stringify({ stints, told, sent, protocol: socket.protocol })}`);
      socket.close(1000, 'done');
      return;
    }
    note(stints, node, Number(said));
    if (!isEnough && stints.length > moves && stints.at(-1).last >= 20) {
      isEnough = true;
      socket.send('enough');
    }
  };
  return socket;
}

// A node counts from 1 on each of its connections.
function note(stints, node, number) {
  if (stints.at(-1)?.node !== node) stints.push({ node, last: 0, wrong: [] });
  const stint = stints.at(-1);
  if (number !== stint.last + 1) stint.wrong.push(number);
  stint.last = number;
}

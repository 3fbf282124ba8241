// The k6 client of the comparisons: each virtual user holds PER_VU connections in its event loop, which costs k6 less than a
// user for each. It takes the time at which a record was due out of the record's stamp and notes the latency, as a user of k6
// would. bench/k6.go starts it and asks k6's own API how many connections are open and how many messages have come.
//
//   k6 run -e URL=ws://127.0.0.1:8080/ws -e CHANNELS=feed -e CONNECTIONS=5000 -e PER_VU=100 -e WARM_MS=4000 bench/k6/script.js
import { WebSocket } from 'k6/websockets';
import { Counter, Trend } from 'k6/metrics';
import exec from 'k6/execution';
import { sleep } from 'k6';

const connections = Number(__ENV.CONNECTIONS);
const perVU = Number(__ENV.PER_VU);
const channels = __ENV.CHANNELS.split(',');
const warm = Number(__ENV.WARM_MS);

export const options = {
  scenarios: {
    hold: {
      executor: 'per-vu-iterations',
      vus: Math.max(1, Math.ceil(connections / perVU)),
      iterations: 1,
      maxDuration: '1h',
      gracefulStop: '0s',
    },
  },
  summaryTrendStats: ['count', 'med', 'p(99)'],
};

const latency = new Trend('record_latency', true);
const ended = new Counter('connections_ended'); // by themselves: any spoils the comparison

const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const value = {};
for (let i = 0; i < digits.length; i++) {
  value[digits[i]] = i;
}

// The stamp begins with ~W1d; its due time stands in eleven digits of six bits from the 38th character on.
function dueMS(text) {
  const at = text.indexOf('~W1d');
  if (at < 0) {
    return 0;
  }
  let ns = 0;
  for (let i = at + 38; i < at + 49; i++) {
    ns = ns * 64 + value[text[i]]; // beyond 2^53 it loses less than a microsecond
  }
  return ns / 1e6;
}

export default function () {
  if (connections === 0) {
    sleep(3600); // what k6 takes without a connection
  }
  const first = (exec.vu.idInTest - 1) * perVU;
  let open = 0;
  let from = Infinity;
  const mine = Math.min(perVU, connections - first);
  for (let i = first; i < first + mine; i++) {
    const ws = new WebSocket(`${__ENV.URL}?channel=${encodeURIComponent(channels[i % channels.length])}`);
    ws.onopen = () => {
      open++;
      if (open === mine) {
        from = Date.now() + warm;
      }
    };
    ws.onclose = () => ended.add(1);
    ws.onmessage = (e) => {
      const now = Date.now();
      if (now < from) {
        return;
      }
      const due = dueMS(e.data);
      if (due > 0) {
        latency.add(now - due);
      }
    };
  }
}

export function handleSummary(data) {
  const said = data.metrics.record_latency;
  return { [__ENV.SUMMARY]: JSON.stringify(said ? said.values : {}) };
}

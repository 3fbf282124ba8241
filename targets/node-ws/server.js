'use strict';

// A Kafka to WebSocket gateway of ws and kafkajs. VARIANT says how it consumes: naive.js or shared.js.

const http = require('node:http');
const { Kafka, logLevel } = require('kafkajs');
const { WebSocketServer } = require('ws');
const { channelsOf } = require('./channels');

const variants = { naive: './naive', shared: './shared' };

function setting(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} is not set`);
    process.exit(2);
  }
  return value;
}

const topics = setting('KAFKA_TOPICS').split(',');
const variant = variants[process.env.VARIANT || 'shared'];
if (!variant) {
  console.error(`VARIANT is ${process.env.VARIANT} (write ${Object.keys(variants).join(' or ')})`);
  process.exit(2);
}

const kafka = new Kafka({
  clientId: 'node-ws',
  brokers: setting('KAFKA_SEEDS').split(','),
  connectionTimeout: 3000,
  retry: { initialRetryTime: 100, maxRetryTime: 2000, retries: 20 },
  logLevel: logLevel.ERROR,
  logCreator: () => ({ namespace, log }) => console.error(`${namespace}: ${log.message} ${log.error || ''}`.trimEnd()),
});

const gateway = require(variant)({ kafka, topics, group: `node-ws-${setting('WEIR_RUN')}` });

// GET / tells whether the gateway is ready to take connections.
const server = http.createServer((request, response) => {
  const ready = gateway.ready();
  response.writeHead(ready ? 200 : 503, { 'content-type': 'text/plain' });
  response.end(ready ? 'ok\n' : 'waiting for partitions\n');
});

const sockets = new WebSocketServer({ server, maxPayload: 64 * 1024 });
sockets.on('connection', (socket, request) => {
  socket.on('error', (error) => console.error(`socket: ${error.message}`));
  const { channels, unknown } = channelsOf(request.url, topics);
  if (unknown) {
    socket.close(1008, 'there is no such topic');
    return;
  }
  gateway.connected(socket, channels);
});

server.on('error', (error) => {
  console.error(`listen: ${error.message}`);
  process.exit(1);
});
server.listen(Number(setting('PORT')), process.env.HOST || '127.0.0.1');

gateway.start({ server, sockets });

'use strict';

// Run by `node --test`; needs none of the dependencies.

const test = require('node:test');
const assert = require('node:assert/strict');
const { EventEmitter } = require('node:events');
const { channelsOf } = require('./channels');

/** A consumer that is told what to read: deliver(topic, key, value). */
function fakeKafka() {
  const kafka = { consumers: [] };
  kafka.consumer = ({ groupId }) => {
    const consumer = new EventEmitter();
    Object.assign(consumer, {
      groupId,
      events: { GROUP_JOIN: 'join', CRASH: 'crash' },
      connected: false,
      connect: async () => { consumer.connected = true; },
      disconnect: async () => { consumer.connected = false; },
      subscribe: async (options) => { consumer.subscribed = options; },
      run: async ({ eachMessage }) => {
        consumer.deliver = (topic, key, value) =>
          eachMessage({ topic, message: { key: key && Buffer.from(key), value: value && Buffer.from(value) } });
      },
    });
    kafka.consumers.push(consumer);
    return consumer;
  };
  return kafka;
}

function fakeSocket() {
  const socket = new EventEmitter();
  socket.got = [];
  socket.send = (frame) => socket.got.push(frame.toString());
  return socket;
}

const topics = ['prices', 'news'];
const settled = () => new Promise(setImmediate);

test('channels are read from the URL', () => {
  for (const [url, channels, unknown] of [
    ['/', null, false],
    ['/?channel=prices', ['prices'], false],
    ['/?channel=prices%2Fa+b&channel=news/x', ['prices/a b', 'news/x'], false],
    ['/?channel=prices/a&channel=prices', ['prices'], false],
    ['/?channel=prices/a/b', ['prices/a/b'], false],
    ['/?channel=price', ['price'], true],
    ['/?channel=price/a', ['price/a'], true],
  ]) {
    assert.deepEqual(channelsOf(url, topics), { channels, unknown }, url);
  }
});

for (const variant of ['naive', 'shared']) {
  test(`${variant} sends what is followed`, async () => {
    const kafka = fakeKafka();
    const gateway = require(`./${variant}`)({ kafka, topics, group: 'g' });
    gateway.start({});
    const all = fakeSocket();
    const whole = fakeSocket();
    const key = fakeSocket();
    gateway.connected(all, null);
    gateway.connected(whole, ['prices']);
    gateway.connected(key, ['prices/a', 'news/b', 'news/null']);
    await settled();
    assert.equal(kafka.consumers.length, variant === 'naive' ? 3 : 1);
    for (const consumer of kafka.consumers) {
      assert.deepEqual(consumer.subscribed, { topics, fromBeginning: false });
      await consumer.deliver('prices', 'a', '1');
      await consumer.deliver('prices', 'b', '2');
      await consumer.deliver('news', 'b', '3');
      await consumer.deliver('news', null, null);
    }
    const text = { 1: 'Message from prices: 1', 2: 'Message from prices: 2', 3: 'Message from news: 3' };
    assert.deepEqual(all.got, [text[1], text[2], text[3], 'Message from news: ']);
    assert.deepEqual(whole.got, [text[1], text[2]]);
    assert.deepEqual(key.got, [text[1], text[3]]);
  });
}

test('naive has a group for each connection, and ends its consumer with it', async () => {
  const kafka = fakeKafka();
  const gateway = require('./naive')({ kafka, topics, group: 'g' });
  assert.equal(gateway.ready(), true);
  const [one, other] = [fakeSocket(), fakeSocket()];
  gateway.connected(one, null);
  gateway.connected(other, null);
  await settled();
  assert.notEqual(kafka.consumers[0].groupId, kafka.consumers[1].groupId);
  one.emit('close');
  await settled();
  assert.deepEqual(kafka.consumers.map((c) => c.connected), [false, true]);
});

test('shared is ready with partitions of every topic, and forgets sockets that close', async () => {
  const kafka = fakeKafka();
  const gateway = require('./shared')({ kafka, topics, group: 'g' });
  gateway.start({});
  const socket = fakeSocket();
  gateway.connected(socket, ['prices/a']);
  await settled();
  const [consumer] = kafka.consumers;
  assert.equal(consumer.groupId, 'g');
  assert.equal(gateway.ready(), false);
  consumer.emit('join', { payload: { memberAssignment: { prices: [0, 1] } } });
  assert.equal(gateway.ready(), false);
  consumer.emit('join', { payload: { memberAssignment: { prices: [0, 1], news: [0] } } });
  assert.equal(gateway.ready(), true);
  consumer.emit('crash', { payload: { error: new Error('a broker is gone'), restart: true } });
  assert.equal(gateway.ready(), false);
  socket.emit('close');
  await consumer.deliver('prices', 'a', '1');
  assert.deepEqual(socket.got, []);
});

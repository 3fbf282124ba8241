'use strict';

// One consumer for the process; each record is made into a text once and goes to all sockets that follow it.

const { channelsFor, textOf } = require('./channels');

const everything = '';

/** What helps against an error that can't be guessed from its message. */
function mendOf(error) {
  if (!/compression not implemented/.test(error.message)) return '';
  return ": kafkajs reads gzip alone (set the producers' compression to gzip or none)";
}

module.exports = function shared({ kafka, topics, group }) {
  const followers = new Map(); // by channel, or everything: sets of sockets
  const consumer = kafka.consumer({ groupId: group, sessionTimeout: 30000, heartbeatInterval: 3000 });
  let assigned = false;
  let stopping = false;

  function connected(socket, channels) {
    const names = channels || [everything];
    for (const name of names) {
      if (!followers.has(name)) followers.set(name, new Set());
      followers.get(name).add(socket);
    }
    socket.on('close', () => {
      for (const name of names) {
        const of = followers.get(name);
        of.delete(socket);
        if (of.size === 0) followers.delete(name);
      }
    });
  }

  async function fanOut({ topic, message }) {
    let frame;
    for (const name of [everything, ...channelsFor(topic, message)]) {
      for (const socket of followers.get(name) || []) {
        frame = frame || Buffer.from(textOf(topic, message));
        socket.send(frame, { binary: false });
      }
    }
  }

  function die(error) {
    if (stopping) return;
    console.error(`consume: ${error.message}${mendOf(error)}`);
    process.exit(1);
  }

  async function consume() {
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      assigned = topics.every((topic) => (payload.memberAssignment[topic] || []).length > 0);
    });
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      assigned = false;
      if (!payload.restart) die(payload.error); // without its consumer the process is no gateway
    });
    await consumer.connect();
    await consumer.subscribe({ topics, fromBeginning: false });
    await consumer.run({ eachMessage: fanOut });
  }

  // On SIGTERM: 1. no new connections; 2. those there are told that the server goes away; 3. the group is left.
  async function stop({ server, sockets }) {
    stopping = true;
    server.close();
    for (const socket of sockets.clients) socket.close(1001, 'the server goes away');
    try {
      await consumer.disconnect();
    } finally {
      process.exit(0);
    }
  }

  return {
    connected,
    ready: () => assigned,
    start(parts) {
      process.once('SIGTERM', () => stop(parts));
      consume().catch(die);
    },
  };
};

'use strict';

// The design of countless articles: each connection runs a consumer, with a group of its own, and each record is sent.
// Its faults are part of it: a consumer that stops (at a batch that it can't decompress, say) leaves its socket open.

const { randomUUID } = require('node:crypto');
const { channelsFor, textOf } = require('./channels');

module.exports = function naive({ kafka, topics, group }) {
  async function connected(socket, channels) {
    const wanted = channels && new Set(channels);
    const consumer = kafka.consumer({ groupId: `${group}-${randomUUID()}` });
    socket.on('close', () => consumer.disconnect().catch((error) => console.error(`disconnect: ${error.message}`)));
    try {
      await consumer.connect();
      await consumer.subscribe({ topics, fromBeginning: false });
      await consumer.run({
        eachMessage: async ({ topic, message }) => {
          if (wanted && !channelsFor(topic, message).some((c) => wanted.has(c))) return;
          socket.send(textOf(topic, message));
        },
      });
    } catch (error) {
      console.error(`consume: ${error.message}`);
    }
  }

  return { connected, ready: () => true, start() {} };
};

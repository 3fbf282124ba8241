'use strict';

// What a client follows stands in its URL: ?channel=TOPIC or ?channel=TOPIC/KEY, as often as need be; without it all.

/**
 * Reads the channels of a request's URL. A key of a topic that is followed as a whole is left out, so that nothing is
 * sent twice.
 * @returns {{channels: string[]|null, unknown: boolean}} channels is null for everything
 */
function channelsOf(url, topics) {
  const asked = new URL(url, 'ws://host').searchParams.getAll('channel');
  if (asked.length === 0) return { channels: null, unknown: false };
  const all = new Set(asked);
  const channels = [...all].filter((c) => !c.includes('/') || !all.has(topicOf(c)));
  return { channels, unknown: channels.some((c) => !topics.includes(topicOf(c))) };
}

function topicOf(channel) {
  return channel.split('/', 1)[0];
}

/** The channels that a record goes to. */
function channelsFor(topic, message) {
  return message.key ? [topic, `${topic}/${message.key}`] : [topic];
}

/** What is sent for a record. A value that is not UTF-8 does not survive this. */
function textOf(topic, message) {
  return `Message from ${topic}: ${message.value ? message.value.toString() : ''}`;
}

module.exports = { channelsOf, channelsFor, textOf };

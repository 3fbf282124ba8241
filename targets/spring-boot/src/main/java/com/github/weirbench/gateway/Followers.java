package com.github.weirbench.gateway;

import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

import org.springframework.web.socket.WebSocketSession;

/** Who follows which channel. */
class Followers {
    private final Map<String, Set<WebSocketSession>> byChannel = new ConcurrentHashMap<>();

    void add(Channels channels, WebSocketSession session) {
        for (String name : channels.names()) {
            byChannel.compute(name, (n, sessions) -> {
                Set<WebSocketSession> all = sessions == null ? ConcurrentHashMap.newKeySet() : sessions;
                all.add(session);
                return all;
            });
        }
    }

    void remove(Channels channels, WebSocketSession session) {
        for (String name : channels.names()) {
            byChannel.computeIfPresent(name, (n, sessions) -> {
                sessions.remove(session);
                return sessions.isEmpty() ? null : sessions;
            });
        }
    }

    Set<WebSocketSession> of(String channel) {
        return byChannel.getOrDefault(channel, Set.of());
    }
}

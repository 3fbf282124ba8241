package com.github.weirbench.gateway;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.List;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.stereotype.Component;
import org.springframework.web.socket.BinaryMessage;
import org.springframework.web.socket.CloseStatus;
import org.springframework.web.socket.TextMessage;
import org.springframework.web.socket.WebSocketMessage;
import org.springframework.web.socket.WebSocketSession;
import org.springframework.web.socket.handler.ConcurrentWebSocketSessionDecorator;
import org.springframework.web.socket.handler.SessionLimitExceededException;
import org.springframework.web.socket.handler.TextWebSocketHandler;

/**
 * Sends each record's value to the sessions that follow it: as text where it is UTF-8, else as a binary message. The
 * listener's thread writes; a session that takes too long, or has too much waiting, is closed.
 */
@Component
class KafkaSocketHandler extends TextWebSocketHandler {
    private static final Logger log = LoggerFactory.getLogger(KafkaSocketHandler.class);
    private static final String FOLLOWER = "follower";

    private final Followers followers = new Followers();
    private final List<String> topics;
    private final int sendTimeLimitMs;
    private final int bufferLimitBytes;

    KafkaSocketHandler(
            @Value("${gateway.topics}") List<String> topics,
            @Value("${gateway.send-time-limit-ms}") int sendTimeLimitMs,
            @Value("${gateway.buffer-limit-bytes}") int bufferLimitBytes) {
        this.topics = topics;
        this.sendTimeLimitMs = sendTimeLimitMs;
        this.bufferLimitBytes = bufferLimitBytes;
    }

    /** A session made safe for the listener's thread, and what it follows. */
    private record Follower(Channels channels, WebSocketSession session) {}

    @Override
    public void afterConnectionEstablished(WebSocketSession session) throws IOException {
        Channels channels = Channels.of(session.getUri());
        if (!channels.within(topics)) {
            session.close(CloseStatus.POLICY_VIOLATION.withReason("there is no such topic"));
            return;
        }
        var follower = new Follower(channels,
                new ConcurrentWebSocketSessionDecorator(session, sendTimeLimitMs, bufferLimitBytes));
        session.getAttributes().put(FOLLOWER, follower);
        followers.add(channels, follower.session());
    }

    @Override
    public void afterConnectionClosed(WebSocketSession session, CloseStatus status) {
        if (session.getAttributes().get(FOLLOWER) instanceof Follower follower) {
            followers.remove(follower.channels(), follower.session());
        }
    }

    @KafkaListener(id = "gateway", idIsGroup = false, topics = "#{'${gateway.topics}'.split(',')}")
    void fanOut(ConsumerRecord<String, byte[]> record) {
        WebSocketMessage<?> message = null;
        for (String name : Channels.receiving(record.topic(), record.key())) {
            for (WebSocketSession session : followers.of(name)) {
                message = message == null ? messageOf(record.value()) : message;
                send(session, message);
            }
        }
    }

    private void send(WebSocketSession session, WebSocketMessage<?> message) {
        try {
            session.sendMessage(message);
        } catch (SessionLimitExceededException e) {
            log.warn("session {} is too slow: {}", session.getId(), e.getMessage());
            close(session, e.getStatus());
        } catch (IOException | IllegalStateException e) {
            log.debug("session {} is gone: {}", session.getId(), e.getMessage());
        }
    }

    private void close(WebSocketSession session, CloseStatus status) {
        try {
            session.close(status);
        } catch (IOException e) {
            log.debug("close session {}: {}", session.getId(), e.getMessage());
        }
    }

    private static WebSocketMessage<?> messageOf(byte[] value) {
        byte[] bytes = value == null ? new byte[0] : value;
        try {
            return new TextMessage(StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)));
        } catch (CharacterCodingException e) {
            return new BinaryMessage(bytes);
        }
    }
}

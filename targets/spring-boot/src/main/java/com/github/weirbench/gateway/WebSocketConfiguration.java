package com.github.weirbench.gateway;

import org.springframework.context.annotation.Configuration;
import org.springframework.web.socket.config.annotation.EnableWebSocket;
import org.springframework.web.socket.config.annotation.WebSocketConfigurer;
import org.springframework.web.socket.config.annotation.WebSocketHandlerRegistry;

/** Clients connect at /ws, from any origin. */
@Configuration
@EnableWebSocket
class WebSocketConfiguration implements WebSocketConfigurer {
    private final KafkaSocketHandler handler;

    WebSocketConfiguration(KafkaSocketHandler handler) {
        this.handler = handler;
    }

    @Override
    public void registerWebSocketHandlers(WebSocketHandlerRegistry registry) {
        registry.addHandler(handler, "/ws").setAllowedOrigins("*");
    }
}

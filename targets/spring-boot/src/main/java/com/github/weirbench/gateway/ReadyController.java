package com.github.weirbench.gateway;

import java.util.Collection;
import java.util.List;
import java.util.stream.Collectors;

import org.apache.kafka.common.TopicPartition;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.http.ResponseEntity;
import org.springframework.kafka.config.KafkaListenerEndpointRegistry;
import org.springframework.kafka.listener.MessageListenerContainer;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** Answers 200 once the listener has partitions of every topic, until then 503. */
@RestController
class ReadyController {
    private final KafkaListenerEndpointRegistry listeners;
    private final List<String> topics;

    ReadyController(KafkaListenerEndpointRegistry listeners, @Value("${gateway.topics}") List<String> topics) {
        this.listeners = listeners;
        this.topics = topics;
    }

    @GetMapping("/ready")
    ResponseEntity<String> ready() {
        MessageListenerContainer container = listeners.getListenerContainer("gateway");
        Collection<TopicPartition> partitions = container == null ? null : container.getAssignedPartitions();
        if (partitions == null
                || !partitions.stream().map(TopicPartition::topic).collect(Collectors.toSet()).containsAll(topics)) {
            return ResponseEntity.status(503).body("waiting for partitions\n");
        }
        return ResponseEntity.ok("ok\n");
    }
}

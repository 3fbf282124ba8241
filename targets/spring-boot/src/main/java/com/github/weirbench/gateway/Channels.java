package com.github.weirbench.gateway;

import java.net.URI;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

import org.springframework.web.util.UriComponentsBuilder;
import org.springframework.web.util.UriUtils;

/**
 * What a client follows, as its URL says: {@code ?channel=TOPIC} or {@code ?channel=TOPIC/KEY}, as often as need be;
 * without it everything.
 */
record Channels(Set<String> names) {
    /** The channel of those that follow everything. */
    static final String EVERYTHING = "";

    /** Reads the channels of a URL; a key of a topic that is followed as a whole is left out, so that nothing is sent twice. */
    static Channels of(URI uri) {
        List<String> asked = UriComponentsBuilder.fromUri(uri).build().getQueryParams().getOrDefault("channel", List.of());
        if (asked.isEmpty()) {
            return new Channels(Set.of(EVERYTHING));
        }
        Set<String> names = new HashSet<>();
        for (String name : asked) {
            names.add(UriUtils.decode(name.replace("+", "%20"), "UTF-8"));
        }
        names.removeIf(name -> name.contains("/") && names.contains(topicOf(name)));
        return new Channels(Collections.unmodifiableSet(names));
    }

    /** Whether all of them are in these topics. */
    boolean within(List<String> topics) {
        return names.stream().allMatch(name -> name.equals(EVERYTHING) || topics.contains(topicOf(name)));
    }

    /** The channels that a record goes to; key is null for a record without one. */
    static List<String> receiving(String topic, String key) {
        return key == null ? List.of(EVERYTHING, topic) : List.of(EVERYTHING, topic, topic + "/" + key);
    }

    private static String topicOf(String name) {
        int slash = name.indexOf('/');
        return slash < 0 ? name : name.substring(0, slash);
    }
}

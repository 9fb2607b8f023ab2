package dev.sluice.driver;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;
import org.apache.rocketmq.client.apis.consumer.FilterExpressionType;

/** What the commands that open a client have in common. */
final class Settings {
    private Settings() {}

    /** The connection: what a command leaves out stays as the client has it by default, TLS among it. */
    static ClientConfiguration connection(JsonObject command) {
        var builder = ClientConfiguration.newBuilder().setEndpoints(command.get("endpoints").getAsString());
        if (command.has("ssl")) {
            builder.enableSsl(command.get("ssl").getAsBoolean());
        }
        if (command.has("namespace")) {
            builder.setNamespace(command.get("namespace").getAsString());
        }
        if (command.has("requestTimeoutMs")) {
            builder.setRequestTimeout(millis(command, "requestTimeoutMs"));
        }
        return builder.build();
    }

    /** Topics with their tag expressions. */
    static Map<String, FilterExpression> subscriptions(JsonObject command) {
        var subscriptions = new HashMap<String, FilterExpression>();
        for (var entry : command.getAsJsonObject("subscriptions").entrySet()) {
            String tags = entry.getValue().getAsString();
            subscriptions.put(entry.getKey(), new FilterExpression(tags, FilterExpressionType.TAG));
        }
        return subscriptions;
    }

    static Duration millis(JsonObject command, String name) {
        return Duration.ofMillis(command.get(name).getAsLong());
    }

    static int number(JsonObject command, String name, int otherwise) {
        return command.has(name) ? command.get(name).getAsInt() : otherwise;
    }

    /** The versions of the client and of Java. */
    static JsonObject versions() throws IOException {
        var properties = new Properties();
        try (InputStream metadata = Settings.class.getResourceAsStream("/rocketmq.metadata.properties")) {
            properties.load(metadata);
        }
        var versions = new JsonObject();
        versions.addProperty("client", properties.getProperty("rocketmq.version"));
        versions.addProperty("java", System.getProperty("java.version"));
        return versions;
    }
}

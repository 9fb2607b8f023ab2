package dev.sluice.driver;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.stream.StreamSupport;
import java.util.zip.CRC32;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.message.Message;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.java.message.MessageViewImpl;

/** Messages to and from JSON. */
final class Messages {
    /** Longer bodies are reported by size and checksum only. */
    private static final int SHOWN_BYTES_MAX = 4096;

    private Messages() {}

    /** The body is {@code body}, or {@code size} bytes of a pattern that the tests know too. */
    static Message build(JsonObject message) {
        var builder = ClientServiceProvider.loadService()
                .newMessageBuilder()
                .setTopic(message.get("topic").getAsString())
                .setBody(
                        message.has("size")
                                ? pattern(message.get("size").getAsInt())
                                : message.get("body").getAsString().getBytes(StandardCharsets.UTF_8));
        if (message.has("tag")) {
            builder.setTag(message.get("tag").getAsString());
        }
        if (message.has("keys")) {
            builder.setKeys(texts(message.getAsJsonArray("keys")));
        }
        if (message.has("messageGroup")) {
            builder.setMessageGroup(message.get("messageGroup").getAsString());
        }
        if (message.has("properties")) {
            for (var property : message.getAsJsonObject("properties").entrySet()) {
                builder.addProperty(property.getKey(), property.getValue().getAsString());
            }
        }
        return builder.build();
    }

    static JsonObject view(MessageView message) {
        byte[] body = bytes(message.getBody());
        var view = new JsonObject();
        view.addProperty("messageId", message.getMessageId().toString());
        view.addProperty("topic", message.getTopic());
        view.addProperty("attempt", message.getDeliveryAttempt());
        view.addProperty("size", body.length);
        view.addProperty("crc32", checksum(body));
        if (body.length <= SHOWN_BYTES_MAX) {
            view.addProperty("body", new String(body, StandardCharsets.UTF_8));
        }
        message.getTag().ifPresent(tag -> view.addProperty("tag", tag));
        message.getMessageGroup().ifPresent(group -> view.addProperty("messageGroup", group));
        var keys = new JsonArray();
        message.getKeys().forEach(keys::add);
        view.add("keys", keys);
        var properties = new JsonObject();
        message.getProperties().forEach(properties::addProperty);
        view.add("properties", properties);
        view.addProperty("bornHost", message.getBornHost());
        view.addProperty("bornTimestamp", message.getBornTimestamp());
        if (message instanceof MessageViewImpl details) {
            view.addProperty("handle", details.getReceiptHandle());
            view.addProperty("offset", details.getOffset());
            view.addProperty("corrupted", details.isCorrupted());
        }
        return view;
    }

    static String[] texts(JsonArray array) {
        return StreamSupport.stream(array.spliterator(), false)
                .map(JsonElement::getAsString)
                .toArray(String[]::new);
    }

    private static byte[] pattern(int size) {
        byte[] body = new byte[size];
        for (int i = 0; i < size; i++) {
            body[i] = (byte) (i * 31 + (i >> 8));
        }
        return body;
    }

    private static byte[] bytes(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return bytes;
    }

    private static long checksum(byte[] bytes) {
        var crc = new CRC32();
        crc.update(bytes);
        return crc.getValue();
    }
}

package dev.sluice.driver;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.MessageView;

/** Simple consumers; a received message is named by a number ({@code ref}) when it is settled. */
final class SimpleConsumers {
    private final Named<SimpleConsumer> consumers = new Named<>();
    private final Map<Long, MessageView> received = new ConcurrentHashMap<>();
    private final AtomicLong nextRef = new AtomicLong();

    JsonElement open(JsonObject command) throws ClientException {
        SimpleConsumer consumer = ClientServiceProvider.loadService()
                .newSimpleConsumerBuilder()
                .setClientConfiguration(Settings.connection(command))
                .setConsumerGroup(command.get("group").getAsString())
                .setSubscriptionExpressions(Settings.subscriptions(command))
                .setAwaitDuration(Settings.millis(command, "awaitMs"))
                .build();
        return consumers.put(command.get("name").getAsString(), consumer);
    }

    JsonElement receive(JsonObject command) throws ClientException {
        var messages = consumers
                .of(command)
                .receive(command.get("max").getAsInt(), Settings.millis(command, "invisibleMs"));
        var views = new JsonArray();
        for (MessageView message : messages) {
            long ref = nextRef.getAndIncrement();
            received.put(ref, message);
            JsonObject view = Messages.view(message);
            view.addProperty("ref", ref);
            views.add(view);
        }
        return views;
    }

    JsonElement ack(JsonObject command) throws ClientException {
        consumers.of(command).ack(referred(command));
        return JsonNull.INSTANCE;
    }

    JsonElement changeInvisible(JsonObject command) throws ClientException {
        consumers.of(command).changeInvisibleDuration(referred(command), Settings.millis(command, "invisibleMs"));
        return JsonNull.INSTANCE;
    }

    JsonElement close(JsonObject command) throws Exception {
        return consumers.close(command);
    }

    private MessageView referred(JsonObject command) {
        long ref = command.get("ref").getAsLong();
        MessageView message = received.get(ref);
        if (message == null) {
            throw new IllegalArgumentException("no message was received as " + ref);
        }
        return message;
    }
}

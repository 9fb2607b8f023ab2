package dev.sluice.driver;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.PushConsumer;
import org.apache.rocketmq.client.apis.message.MessageView;

/** Push consumers; each message is reported when its handler begins, and again when it ends. */
final class PushConsumers {
    private final Named<PushConsumer> consumers = new Named<>();
    private final Wire wire;

    PushConsumers(Wire wire) {
        this.wire = wire;
    }

    JsonElement open(JsonObject command) throws ClientException {
        String name = command.get("name").getAsString();
        PushConsumer consumer = ClientServiceProvider.loadService()
                .newPushConsumerBuilder()
                .setClientConfiguration(Settings.connection(command))
                .setConsumerGroup(command.get("group").getAsString())
                .setSubscriptionExpressions(Settings.subscriptions(command))
                .setConsumptionThreadCount(Settings.number(command, "threads", 8))
                .setEnableFifoConsumeAccelerator(command.has("accelerated"))
                .setMessageListener(message -> handle(name, command, message))
                .build();
        return consumers.put(name, consumer);
    }

    JsonElement close(JsonObject command) throws Exception {
        return consumers.close(command);
    }

    /** Takes {@code holdMs} of time; fails attempts up to {@code failFirst}, of {@code failBody} only if there is one. */
    private ConsumeResult handle(String name, JsonObject command, MessageView message) {
        JsonObject view = Messages.view(message);
        wire.event("received", name, view);
        try {
            Thread.sleep(Settings.number(command, "holdMs", 0));
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            return ConsumeResult.FAILURE;
        }
        boolean meant = !command.has("failBody") || command.get("failBody").equals(view.get("body"));
        boolean fails = meant && message.getDeliveryAttempt() <= Settings.number(command, "failFirst", 0);
        wire.event(fails ? "failed" : "handled", name, view);
        return fails ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
    }
}

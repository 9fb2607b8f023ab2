package dev.sluice.driver;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.concurrent.CompletableFuture;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.producer.Producer;
import org.apache.rocketmq.client.apis.producer.SendReceipt;

/** Producers, and sending with them. */
final class Producers {
    private final Named<Producer> producers = new Named<>();

    JsonElement open(JsonObject command) throws ClientException {
        var builder = ClientServiceProvider.loadService()
                .newProducerBuilder()
                .setClientConfiguration(Settings.connection(command))
                .setMaxAttempts(Settings.number(command, "maxAttempts", 3));
        if (command.has("topics")) {
            builder.setTopics(Messages.texts(command.getAsJsonArray("topics")));
        }
        return producers.put(command.get("name").getAsString(), builder.build());
    }

    /** Sends the messages one after the other, or all at once if the command says {@code async}. */
    JsonElement send(JsonObject command) throws Exception {
        Producer producer = producers.of(command);
        boolean async = command.has("async") && command.get("async").getAsBoolean();
        var sends = new ArrayList<CompletableFuture<SendReceipt>>();
        for (JsonElement message : command.getAsJsonArray("messages")) {
            var built = Messages.build(message.getAsJsonObject());
            sends.add(
                    async
                            ? producer.sendAsync(built)
                            : CompletableFuture.completedFuture(producer.send(built)));
        }
        var ids = new JsonArray();
        for (var send : sends) {
            ids.add(send.get().getMessageId().toString());
        }
        return ids;
    }

    JsonElement close(JsonObject command) throws Exception {
        return producers.close(command);
    }
}

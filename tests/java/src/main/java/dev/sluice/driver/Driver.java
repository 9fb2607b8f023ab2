package dev.sluice.driver;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Does with the official client what the lines on standard input say.
 *
 * <p>A line is an object with {@code id} and {@code do}; it is answered by one line with the same {@code id} and
 * either {@code ok} or {@code error}. Commands run side by side, so that answers come in the order in which they
 * are ready. What a push consumer receives is reported by lines with {@code event} instead of {@code id}. The end of
 * the input ends the process.
 */
public final class Driver {
    private final Wire wire = new Wire();
    private final Producers producers = new Producers();
    private final PushConsumers pushConsumers = new PushConsumers(wire);
    private final SimpleConsumers simpleConsumers = new SimpleConsumers();

    private Driver() {}

    public static void main(String[] args) throws Exception {
        new Driver().run();
        // Clients left open must not keep the process.
        Runtime.getRuntime().halt(0);
    }

    private void run() throws Exception {
        ExecutorService workers = Executors.newCachedThreadPool();
        var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            JsonObject command = JsonParser.parseString(line).getAsJsonObject();
            workers.execute(() -> answer(command));
        }
    }

    private void answer(JsonObject command) {
        long id = command.get("id").getAsLong();
        try {
            wire.ok(id, execute(command));
        } catch (Throwable error) {
            wire.error(id, error);
        }
    }

    private JsonElement execute(JsonObject command) throws Exception {
        return switch (command.get("do").getAsString()) {
            case "hello" -> Settings.versions();
            case "producer" -> producers.open(command);
            case "send" -> producers.send(command);
            case "close-producer" -> producers.close(command);
            case "push-consumer" -> pushConsumers.open(command);
            case "close-push-consumer" -> pushConsumers.close(command);
            case "simple-consumer" -> simpleConsumers.open(command);
            case "receive" -> simpleConsumers.receive(command);
            case "ack" -> simpleConsumers.ack(command);
            case "change-invisible" -> simpleConsumers.changeInvisible(command);
            case "close-simple-consumer" -> simpleConsumers.close(command);
            default -> throw new IllegalArgumentException("unknown command " + command);
        };
    }
}

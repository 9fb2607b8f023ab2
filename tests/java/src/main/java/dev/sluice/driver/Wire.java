package dev.sluice.driver;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutionException;

/** The line-by-line way back to the tests. */
final class Wire {
    private final Gson gson = new Gson();
    private final PrintStream out =
            new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);

    /** Keeps standard output for itself: what anything else prints goes to standard error. */
    Wire() {
        System.setOut(System.err);
    }

    void ok(long id, JsonElement result) {
        var line = new JsonObject();
        line.addProperty("id", id);
        line.add("ok", result);
        write(line);
    }

    void error(long id, Throwable error) {
        Throwable cause = error;
        while (cause.getCause() != null && cause instanceof ExecutionException) {
            cause = cause.getCause();
        }
        var line = new JsonObject();
        line.addProperty("id", id);
        line.addProperty("error", cause.getClass().getSimpleName() + ": " + cause.getMessage());
        write(line);
    }

    void event(String event, String client, JsonElement message) {
        var line = new JsonObject();
        line.addProperty("event", event);
        line.addProperty("client", client);
        line.add("message", message);
        write(line);
    }

    private synchronized void write(JsonObject line) {
        out.println(gson.toJson(line));
    }
}

package dev.sluice.driver;

import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import java.io.Closeable;
import java.io.IOException;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Open clients of one kind by the names the tests gave them. */
final class Named<C extends Closeable> {
    private final Map<String, C> clients = new ConcurrentHashMap<>();

    JsonElement put(String name, C client) {
        if (clients.putIfAbsent(name, client) != null) {
            throw new IllegalArgumentException("there is a client named " + name + " already");
        }
        return JsonNull.INSTANCE;
    }

    C of(JsonObject command) {
        String name = command.get("name").getAsString();
        C client = clients.get(name);
        if (client == null) {
            throw new IllegalArgumentException("there is no client named " + name);
        }
        return client;
    }

    JsonElement close(JsonObject command) throws IOException {
        C client = of(command);
        clients.remove(command.get("name").getAsString());
        client.close();
        return JsonNull.INSTANCE;
    }
}

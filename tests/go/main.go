// Does with the official client what the lines on standard input say.
//
// A line is an object with "id" and "do"; it is answered by one line with the same "id" and either "ok" or "error".
// Commands run side by side, so that answers come in the order in which they are ready. What a push consumer receives is
// reported by lines with "event" instead of "id". The end of the input ends the process.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
)

// driver holds the clients that are open.
type driver struct {
	wire            *wire
	producers       *producers
	pushConsumers   *pushConsumers
	simpleConsumers *simpleConsumers
}

func main() {
	wire := openWire()
	if err := moveLogs(); err != nil {
		log.Fatal(err)
	}
	driver := &driver{
		wire:            wire,
		producers:       newProducers(),
		pushConsumers:   newPushConsumers(wire),
		simpleConsumers: newSimpleConsumers(),
	}
	if err := driver.run(os.Stdin); err != nil {
		log.Fatal(err)
	}
	// Returning ends the process: clients left open do not keep it.
}

// run begins a command for each line until the input ends.
func (d *driver) run(input io.Reader) error {
	lines := bufio.NewReader(input)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var given command
		if err := json.Unmarshal(line, &given); err != nil {
			return fmt.Errorf("cannot read the command %s: %w", line, err)
		}
		go d.answer(&given)
	}
}

func (d *driver) answer(given *command) {
	result, err := d.execute(given)
	if err != nil {
		d.wire.failed(given.ID, err)
		return
	}
	d.wire.ok(given.ID, result)
}

func (d *driver) execute(given *command) (any, error) {
	switch given.Do {
	case "hello":
		return versions(), nil
	case "producer":
		return nil, d.producers.open(given)
	case "send":
		return d.producers.send(given)
	case "close-producer":
		return nil, d.producers.close(given)
	case "push-consumer":
		return nil, d.pushConsumers.open(given)
	case "close-push-consumer":
		return nil, d.pushConsumers.close(given)
	case "simple-consumer":
		return nil, d.simpleConsumers.open(given)
	case "receive":
		return d.simpleConsumers.receive(given)
	case "ack":
		return nil, d.simpleConsumers.ack(given)
	case "change-invisible":
		return nil, d.simpleConsumers.changeInvisible(given)
	case "close-simple-consumer":
		return nil, d.simpleConsumers.close(given)
	default:
		return nil, fmt.Errorf("unknown command %q", given.Do)
	}
}

package main

import (
	"encoding/json"
	"errors"
	"log"
	"os"
	"sync"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// wire is the line-by-line way back to the tests.
type wire struct {
	lock sync.Mutex
	out  *json.Encoder
}

// unsupported says what the client cannot do.
type unsupported string

func (u unsupported) Error() string {
	return string(u)
}

// openWire keeps standard output for the answers: what anything else prints goes to standard error.
func openWire() *wire {
	out := json.NewEncoder(os.Stdout)
	os.Stdout = os.Stderr
	return &wire{out: out}
}

func (w *wire) ok(id int64, result any) {
	w.write(map[string]any{"id": id, "ok": result})
}

func (w *wire) failed(id int64, err error) {
	w.write(map[string]any{"id": id, "error": kind(err) + ": " + err.Error()})
}

func (w *wire) event(event, client string, message view) {
	w.write(map[string]any{"event": event, "client": client, "message": message})
}

func (w *wire) write(line map[string]any) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if err := w.out.Encode(line); err != nil {
		log.Fatalf("cannot answer: %v", err)
	}
}

// kind tells a broker's refusal from a broken call and from what the client itself minds.
func kind(err error) string {
	var cannot unsupported
	var refused *rmq.ErrRpcStatus
	switch {
	case errors.As(err, &cannot):
		return "Unsupported"
	case errors.As(err, &refused):
		return "ErrRpcStatus"
	case status.Code(err) != codes.Unknown:
		return "Status"
	default:
		return "Error"
	}
}

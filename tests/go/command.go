package main

import "time"

// command is a line of the input. What may be left out is a pointer, or something whose zero value says as much.
type command struct {
	ID   int64  `json:"id"`
	Do   string `json:"do"`
	Name string `json:"name"`

	// The connection.
	Endpoints        string  `json:"endpoints"`
	SSL              *bool   `json:"ssl"`
	Namespace        string  `json:"namespace"`
	RequestTimeoutMs *millis `json:"requestTimeoutMs"`

	// Producers, and sending.
	Topics      []string  `json:"topics"`
	MaxAttempts *int32    `json:"maxAttempts"`
	Messages    []message `json:"messages"`
	Async       bool      `json:"async"`

	// Consumers.
	Group         string            `json:"group"`
	Subscriptions map[string]string `json:"subscriptions"`
	Threads       *int32            `json:"threads"`
	Accelerated   bool              `json:"accelerated"`
	HoldMs        millis            `json:"holdMs"`
	FailFirst     int32             `json:"failFirst"`
	FailBody      *string           `json:"failBody"`
	AwaitMs       millis            `json:"awaitMs"`
	Max           int32             `json:"max"`
	InvisibleMs   millis            `json:"invisibleMs"`
	Ref           int64             `json:"ref"`
}

// message is what "send" sends.
type message struct {
	Topic        string            `json:"topic"`
	Body         string            `json:"body"`
	Size         *int              `json:"size"`
	Tag          *string           `json:"tag"`
	Keys         []string          `json:"keys"`
	MessageGroup *string           `json:"messageGroup"`
	Properties   map[string]string `json:"properties"`
}

// millis is a time as commands give it.
type millis int64

func (m millis) duration() time.Duration {
	return time.Duration(m) * time.Millisecond
}

// or is the value, or another one if the command has none.
func or[T any](value *T, otherwise T) T {
	if value == nil {
		return otherwise
	}
	return *value
}

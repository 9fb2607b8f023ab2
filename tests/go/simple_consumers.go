package main

import (
	"context"
	"fmt"
	"sync"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
)

// simpleConsumers holds the simple consumers and what they received: a message is named by a number ("ref") when it is
// settled.
type simpleConsumers struct {
	*named[rmq.SimpleConsumer]
	lock     sync.Mutex
	received []*rmq.MessageView
}

func newSimpleConsumers() *simpleConsumers {
	return &simpleConsumers{named: newNamed[rmq.SimpleConsumer]()}
}

func (s *simpleConsumers) open(given *command) error {
	consumer, err := rmq.NewSimpleConsumer(
		config(given),
		rmq.WithSimpleSubscriptionExpressions(subscriptions(given)),
		rmq.WithSimpleAwaitDuration(given.AwaitMs.duration()),
	)
	if err != nil {
		return err
	}
	if given.RequestTimeoutMs != nil {
		consumer.SetRequestTimeout(given.RequestTimeoutMs.duration())
	}
	if err := start(given, consumer); err != nil {
		return err
	}
	return s.put(given.Name, consumer)
}

func (s *simpleConsumers) receive(given *command) ([]view, error) {
	consumer, err := s.of(given)
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Receive(context.Background(), given.Max, given.InvisibleMs.duration())
	// Every user of this client has to tell by the code that there is just nothing to receive.
	if refused, is := rmq.AsErrRpcStatus(err); is && refused.Code == int32(v2.Code_MESSAGE_NOT_FOUND) {
		return []view{}, nil
	}
	if err != nil {
		return nil, err
	}
	views := make([]view, len(messages))
	for i, message := range messages {
		views[i] = show(message)
		ref := s.keep(message)
		views[i].Ref = &ref
	}
	return views, nil
}

func (s *simpleConsumers) ack(given *command) error {
	consumer, message, err := s.referred(given)
	if err != nil {
		return err
	}
	return consumer.Ack(context.Background(), message)
}

func (s *simpleConsumers) changeInvisible(given *command) error {
	consumer, message, err := s.referred(given)
	if err != nil {
		return err
	}
	return consumer.ChangeInvisibleDuration(message, given.InvisibleMs.duration())
}

// keep remembers a message and returns its number.
func (s *simpleConsumers) keep(message *rmq.MessageView) int64 {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.received = append(s.received, message)
	return int64(len(s.received) - 1)
}

func (s *simpleConsumers) referred(given *command) (rmq.SimpleConsumer, *rmq.MessageView, error) {
	consumer, err := s.of(given)
	if err != nil {
		return nil, nil, err
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if given.Ref < 0 || given.Ref >= int64(len(s.received)) {
		return nil, nil, fmt.Errorf("no message was received as %d", given.Ref)
	}
	return consumer, s.received[given.Ref], nil
}

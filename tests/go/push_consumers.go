package main

import (
	"time"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
)

// pushConsumers holds the push consumers, and reports each message when its handler begins, and again when it ends.
type pushConsumers struct {
	*named[rmq.PushConsumer]
	wire *wire
}

func newPushConsumers(wire *wire) *pushConsumers {
	return &pushConsumers{newNamed[rmq.PushConsumer](), wire}
}

func (p *pushConsumers) open(given *command) error {
	consumer, err := rmq.NewPushConsumer(
		config(given),
		rmq.WithPushSubscriptionExpressions(subscriptions(given)),
		rmq.WithPushConsumptionThreadCount(or(given.Threads, 8)),
		rmq.WithPushEnableFifoConsumeAccelerator(given.Accelerated),
		rmq.WithPushMessageListener(&rmq.FuncMessageListener{
			Consume: func(message *rmq.MessageView) rmq.ConsumerResult { return p.handle(given, message) },
		}),
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
	return p.put(given.Name, consumer)
}

// handle takes "holdMs" of time; it fails attempts up to "failFirst", of "failBody" only if there is one.
func (p *pushConsumers) handle(given *command, message *rmq.MessageView) rmq.ConsumerResult {
	shown := show(message)
	p.wire.event("received", given.Name, shown)
	time.Sleep(given.HoldMs.duration())
	meant := given.FailBody == nil || shown.Body != nil && *given.FailBody == *shown.Body
	if meant && shown.Attempt <= given.FailFirst {
		p.wire.event("failed", given.Name, shown)
		return rmq.FAILURE
	}
	p.wire.event("handled", given.Name, shown)
	return rmq.SUCCESS
}

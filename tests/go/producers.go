package main

import (
	"context"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
)

// producers holds the producers, and sends with them.
type producers struct {
	*named[rmq.Producer]
}

// outcome is what became of one send: a receipt, since each has one message, or an error.
type outcome struct {
	receipts []*rmq.SendReceipt
	err      error
}

func newProducers() *producers {
	return &producers{newNamed[rmq.Producer]()}
}

func (p *producers) open(given *command) error {
	producer, err := rmq.NewProducer(
		config(given),
		rmq.WithTopics(given.Topics...),
		rmq.WithMaxAttempts(or(given.MaxAttempts, 3)),
	)
	if err != nil {
		return err
	}
	if given.RequestTimeoutMs != nil {
		producer.SetRequestTimeout(given.RequestTimeoutMs.duration())
	}
	if err := start(given, producer); err != nil {
		return err
	}
	return p.put(given.Name, producer)
}

// send sends the messages one after the other, or all at once if the command says "async".
func (p *producers) send(given *command) ([]string, error) {
	producer, err := p.of(given)
	if err != nil {
		return nil, err
	}
	if given.Async {
		return sendAtOnce(producer, given.Messages)
	}
	ids := make([]string, 0, len(given.Messages))
	for i := range given.Messages {
		receipts, err := producer.Send(context.Background(), build(&given.Messages[i]))
		if err != nil {
			return nil, err
		}
		ids = append(ids, receipts[0].MessageID)
	}
	return ids, nil
}

// sendAtOnce waits for no send before the next; the ids are in the order of the messages.
func sendAtOnce(producer rmq.Producer, messages []message) ([]string, error) {
	outcomes := make([]chan outcome, len(messages))
	for i := range messages {
		settled := make(chan outcome, 1)
		outcomes[i] = settled
		report := func(_ context.Context, receipts []*rmq.SendReceipt, err error) {
			settled <- outcome{receipts, err}
		}
		producer.SendAsync(context.Background(), build(&messages[i]), report)
	}
	ids := make([]string, 0, len(messages))
	for _, settled := range outcomes {
		outcome := <-settled
		if outcome.err != nil {
			return nil, outcome.err
		}
		ids = append(ids, outcome.receipts[0].MessageID)
	}
	return ids, nil
}

package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
	"github.com/apache/rocketmq-clients/golang/v5/credentials"
	"github.com/apache/rocketmq-clients/golang/v5/metadata"
)

// starting guards the client's only switch for TLS: a variable of the whole process that each dial reads. A client that
// dials again later does so as the latest one was told to.
var starting sync.Mutex

// startPatience is longer than any start that ends.
const startPatience = 10 * time.Second

// client is what clients of every kind have in common.
type client interface {
	Start() error
	GracefulStop() error
}

// config is the connection without what the options of each kind of client say.
func config(given *command) *rmq.Config {
	return &rmq.Config{
		Endpoint:      given.Endpoints,
		NameSpace:     given.Namespace,
		ConsumerGroup: given.Group,
		Credentials:   &credentials.SessionCredentials{},
	}
}

// start starts a client; what the command leaves out stays as the client has it by default, TLS among it.
func start(given *command, started client) error {
	starting.Lock()
	defer starting.Unlock()
	rmq.EnableSsl = or(given.SSL, true)
	if len(given.Topics)+len(given.Subscriptions) == 0 {
		return startWithoutTopics(started)
	}
	return started.Start()
}

// startWithoutTopics gives up after a while: such a start never ends, as apache/rocketmq-clients issue 1316 tells.
func startWithoutTopics(started client) error {
	ended := make(chan error, 1)
	go func() { ended <- started.Start() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(startPatience):
		return unsupported(fmt.Sprintf("the client has no topics, and has not started within %s", startPatience))
	}
}

// subscriptions is topics with their tag expressions.
func subscriptions(given *command) map[string]*rmq.FilterExpression {
	expressions := make(map[string]*rmq.FilterExpression, len(given.Subscriptions))
	for topic, tags := range given.Subscriptions {
		expressions[topic] = rmq.NewFilterExpression(tags)
	}
	return expressions
}

// versions is the client's version and that of Go.
func versions() map[string]string {
	return map[string]string{"client": metadata.VersionValue, "go": runtime.Version()}
}

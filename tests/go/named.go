package main

import (
	"fmt"
	"sync"
)

// named is the open clients of one kind by the names the tests gave them.
type named[C client] struct {
	lock    sync.Mutex
	clients map[string]C
}

func newNamed[C client]() *named[C] {
	return &named[C]{clients: make(map[string]C)}
}

func (n *named[C]) put(name string, opened C) error {
	n.lock.Lock()
	defer n.lock.Unlock()
	if _, taken := n.clients[name]; taken {
		return fmt.Errorf("there is a client named %s already", name)
	}
	n.clients[name] = opened
	return nil
}

func (n *named[C]) of(given *command) (C, error) {
	n.lock.Lock()
	defer n.lock.Unlock()
	found, open := n.clients[given.Name]
	if !open {
		return found, fmt.Errorf("there is no client named %s", given.Name)
	}
	return found, nil
}

func (n *named[C]) close(given *command) error {
	closing, err := n.of(given)
	if err != nil {
		return err
	}
	n.forget(given.Name)
	return closing.GracefulStop()
}

func (n *named[C]) forget(name string) {
	n.lock.Lock()
	defer n.lock.Unlock()
	delete(n.clients, name)
}

package main

import (
	"hash/crc32"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
)

// shownBytesMax is how long a body may be to be reported as it is; longer ones are by size and checksum only.
const shownBytesMax = 4096

// view is a message as a consumer got it. Whether its body was damaged on the way the client keeps to itself.
type view struct {
	MessageID     string            `json:"messageId"`
	Topic         string            `json:"topic"`
	Attempt       int32             `json:"attempt"`
	Size          int               `json:"size"`
	CRC32         uint32            `json:"crc32"`
	Body          *string           `json:"body,omitempty"`
	Tag           *string           `json:"tag,omitempty"`
	MessageGroup  *string           `json:"messageGroup,omitempty"`
	Keys          []string          `json:"keys"`
	Properties    map[string]string `json:"properties"`
	BornHost      *string           `json:"bornHost,omitempty"`
	BornTimestamp *int64            `json:"bornTimestamp,omitempty"`
	Handle        string            `json:"handle"`
	Offset        int64             `json:"offset"`
	Ref           *int64            `json:"ref,omitempty"`
}

// build makes a message for the client. The body is "body", or "size" bytes of a pattern that the tests know too.
func build(given *message) *rmq.Message {
	built := &rmq.Message{Topic: given.Topic, Body: []byte(given.Body)}
	if given.Size != nil {
		built.Body = pattern(*given.Size)
	}
	if given.Tag != nil {
		built.SetTag(*given.Tag)
	}
	if given.Keys != nil {
		built.SetKeys(given.Keys...)
	}
	if given.MessageGroup != nil {
		built.SetMessageGroup(*given.MessageGroup)
	}
	for key, value := range given.Properties {
		built.AddProperty(key, value)
	}
	return built
}

// show is the view of a message.
func show(message *rmq.MessageView) view {
	body := message.GetBody()
	shown := view{
		MessageID:    message.GetMessageId(),
		Topic:        message.GetTopic(),
		Attempt:      message.GetDeliveryAttempt(),
		Size:         len(body),
		CRC32:        crc32.ChecksumIEEE(body),
		Tag:          message.GetTag(),
		MessageGroup: message.GetMessageGroup(),
		Keys:         append([]string{}, message.GetKeys()...),
		Properties:   make(map[string]string),
		BornHost:     message.GetBornHost(),
		Handle:       message.GetReceiptHandle(),
		Offset:       message.GetOffset(),
	}
	if len(body) <= shownBytesMax {
		text := string(body)
		shown.Body = &text
	}
	for key, value := range message.GetProperties() {
		shown.Properties[key] = value
	}
	if born := message.GetBornTimestamp(); born != nil {
		millis := born.UnixMilli()
		shown.BornTimestamp = &millis
	}
	return shown
}

func pattern(size int) []byte {
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(i*31 + i>>8)
	}
	return body
}

// Command gorilla is the plain client of the comparisons: github.com/gorilla/websocket with its defaults, a goroutine a
// connection, ReadMessage in a loop. It counts the records that come and does nothing with them.
package main

import (
	"fmt"

	"github.com/gorilla/websocket"
	"golang.org/x/sync/errgroup"

	"github.com/weirbench/weir/bench/clientline"
)

func main() { clientline.Main("gorilla", hold) }

// hold opens the connections and leaves a goroutine with each.
func hold(o clientline.Options, counts *clientline.Counts) error {
	var dials errgroup.Group
	dials.SetLimit(o.Dialling)
	for i := range o.Connections {
		dials.Go(func() error {
			conn, resp, err := websocket.DefaultDialer.Dial(o.ChannelURL(i), nil)
			if err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
			_ = resp.Body.Close()
			counts.Open.Add(1)
			go read(conn, counts, i)
			return nil
		})
	}
	return dials.Wait()
}

func read(conn *websocket.Conn, counts *clientline.Counts, i int) {
	taken := counts.Of(i)
	defer counts.Ended.Add(1)
	defer conn.Close()
	for {
		_, payload, err := conn.ReadMessage()
		if err != nil {
			return
		}
		taken.Took(payload)
	}
}

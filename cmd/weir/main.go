// Command weir load-tests Kafka→WebSocket pipelines.
package main

import "os"

func main() { os.Exit(execute(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

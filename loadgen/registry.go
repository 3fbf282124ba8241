package loadgen

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/weirbench/weir/internal/kafkasec"
	"github.com/weirbench/weir/internal/scrub"
	"github.com/weirbench/weir/scenarios"
)

const (
	// registerTimeout bounds the registration of one schema.
	registerTimeout = 10 * time.Second
	// maxRegistryAnswer bounds what is read of an answer, and maxRegistryText what is shown of it.
	maxRegistryAnswer = 1 << 20
	maxRegistryText   = 500
)

// registerSchemas registers the schemas of the senders' payloads and writes the ids that the registry gave them into the
// values. The errors name the registry and the subject, and hold no secret.
func (e *Engine) registerSchemas(ctx context.Context) error {
	var registry *registry
	for _, p := range e.producers {
		if p.values.schema == nil {
			continue
		}
		if registry == nil {
			var err error
			if registry, err = openRegistry(e.options.Plan.Kafka.Registry); err != nil {
				return err
			}
			defer registry.close()
		}
		if err := registry.register(ctx, p); err != nil {
			return fmt.Errorf("payload of %s: %w", p.shape.plan.Name, err)
		}
	}
	return nil
}

// registry is a client of a schema registry.
type registry struct {
	client *sr.Client
	http   *http.Client
	url    string // without a secret
	hide   *scrub.Scrubber
	user   string // "" without
}

func openRegistry(plan *scenarios.Registry) (*registry, error) {
	if plan == nil {
		return nil, errors.New("a payload by a schema needs a schema registry (write kafka.registry: {url: 'http://127.0.0.1:8081'})")
	}
	address, err := url.Parse(plan.URL)
	if err != nil || address.Host == "" {
		return nil, errors.New("the schema registry's URL is none (write kafka.registry.url as http://127.0.0.1:8081)")
	}
	r := &registry{url: address.Redacted(), user: plan.Username}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if plan.CAFile != "" {
		if transport.TLSClientConfig, err = kafkasec.TrustCAs(plan.CAFile); err != nil {
			return nil, fmt.Errorf("schema registry %s: %w", r.url, err)
		}
	}
	r.http = &http.Client{
		Timeout: registerTimeout, Transport: boundedAnswers{transport},
		// What is at another address was not named: it gets no password.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	options := []sr.ClientOpt{sr.URLs(plan.URL), sr.HTTPClient(r.http), sr.UserAgent("weir"), sr.LogLevel(sr.LogLevelNone)}
	if plan.Password != nil {
		password, err := plan.Password.Read()
		if err != nil {
			return nil, fmt.Errorf("the password for the schema registry %s: %w", r.url, err)
		}
		options = append(options, sr.BasicAuth(plan.Username, password))
		r.hide = scrub.New(password, base64.StdEncoding.EncodeToString([]byte(plan.Username+":"+password)))
	}
	if r.client, err = sr.NewClient(options...); err != nil {
		return nil, fmt.Errorf("schema registry %s: %s", r.url, r.hide.Text(err.Error()))
	}
	return r, nil
}

func (r *registry) close() { r.http.CloseIdleConnections() }

// register registers the schema of one sender.
func (r *registry) register(ctx context.Context, p *producer) error {
	payload := p.shape.plan.Payload
	subject := payload.Schema.Subject
	if subject == "" {
		subject = p.shape.topic + "-value"
	}
	schema := sr.Schema{Schema: payload.Schema.Text, Type: sr.TypeAvro}
	if payload.Kind == scenarios.PayloadProtobuf {
		schema.Type = sr.TypeProtobuf
	}
	bounded, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	id, err := r.client.RegisterSchema(bounded, subject, schema, -1, -1)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("register %s as subject %s at the schema registry %s: %s", payload.Schema.File, subject, r.url, r.cause(err))
	}
	if id <= 0 || int64(id) > maxSchemaID {
		return fmt.Errorf("register %s as subject %s at the schema registry %s: it gave no id (is this a schema registry's URL?)",
			payload.Schema.File, subject, r.url)
	}
	return p.values.schema.setID(id)
}

// maxSchemaID is the largest that the framing's four bytes are taken to hold: readers take them for a signed number.
const maxSchemaID = 1<<31 - 1

// cause says what went wrong and what mends it.
func (r *registry) cause(err error) string {
	answer, ok := errors.AsType[*sr.ResponseError](err)
	if !ok {
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err
		}
		return fmt.Sprintf("%s (is it up, and does kafka.registry.url name it?)", r.quote(plainError(err)))
	}
	said := r.quote(answer)
	switch {
	case answer.StatusCode == http.StatusUnauthorized && r.user == "":
		return "it asks who we are (write kafka.registry.username and password)"
	case answer.StatusCode == http.StatusUnauthorized:
		return fmt.Sprintf("it refused user %q (mend kafka.registry.username or password)", r.user)
	case answer.StatusCode == http.StatusForbidden:
		return fmt.Sprintf("user %q may not register schemas there: %s (give it the right to, or write a subject that it may write)", r.user, said)
	case answer.StatusCode == http.StatusNotFound:
		return "there is nothing there that takes schemas (does kafka.registry.url name a schema registry?)"
	case answer.StatusCode == http.StatusConflict:
		return fmt.Sprintf("the subject has another schema, which this one is not compatible with: %s (write another subject, or change the schema)", said)
	case answer.StatusCode == http.StatusUnprocessableEntity:
		return fmt.Sprintf("it takes no such schema: %s (change the schema)", said)
	case answer.StatusCode >= 300 && answer.StatusCode < 400:
		return fmt.Sprintf("it points to another address with status %d (write that as kafka.registry.url)", answer.StatusCode)
	}
	return fmt.Sprintf("status %d: %s", answer.StatusCode, said)
}

// quote is an error's text without secrets and not too long.
func (r *registry) quote(err error) string {
	text := r.hide.Text(err.Error())
	if len(text) <= maxRegistryText {
		return text
	}
	return strings.ToValidUTF8(text[:maxRegistryText], "") + "…"
}

// boundedAnswers cuts answers that go on and on.
type boundedAnswers struct{ *http.Transport }

func (b boundedAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = boundedBody{io.LimitReader(answer.Body, maxRegistryAnswer), answer.Body}
	return answer, nil
}

type boundedBody struct {
	io.Reader
	io.Closer
}

package gateway

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

// minRSABits is the least that RS256 may be used with (RFC 7518, section 3.3).
const minRSABits = 2048

// verificationKey is a public key and the one algorithm that it is good for.
type verificationKey struct {
	id        string // "kid"; may be empty
	algorithm string // "RS256", "ES256" or "EdDSA"
	key       crypto.PublicKey
}

// keySet is what a JSON Web Key Set (RFC 7517) holds of use here.
type keySet []verificationKey

// find returns the keys for a token: those of its algorithm, and of its key id where it gives one.
func (s keySet) find(algorithm, id string) (found []verificationKey) {
	for _, k := range s {
		if k.algorithm == algorithm && (id == "" || k.id == id) {
			found = append(found, k)
		}
	}
	return found
}

// jsonWebKey has the fields of RFC 7517, section 4, and RFC 7518, section 6, and of RFC 8037 for Ed25519.
type jsonWebKey struct {
	Type      string   `json:"kty"`
	ID        string   `json:"kid"`
	Algorithm string   `json:"alg"`
	Use       string   `json:"use"`
	Ops       []string `json:"key_ops"`
	Curve     string   `json:"crv"`
	X         string   `json:"x"`
	Y         string   `json:"y"`
	N         string   `json:"n"`
	E         string   `json:"e"`
}

// parseKeySet reads a key set. Keys that are not for verifying what is supported here are passed over, as RFC 7517,
// section 5, demands; a set without any key of use is an error, and so is a broken key.
func parseKeySet(text []byte) (keySet, error) {
	var doc struct {
		Keys []jsonWebKey `json:"keys"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	var set keySet
	for i, jwk := range doc.Keys {
		key, algorithm, err := jwk.public()
		if err != nil {
			return nil, fmt.Errorf("key %d of the key set (kid %.40q): %w", i, jwk.ID, err)
		}
		if key == nil || !jwk.verifies() || jwk.Algorithm != "" && jwk.Algorithm != algorithm {
			continue
		}
		set = append(set, verificationKey{id: jwk.ID, algorithm: algorithm, key: key})
	}
	if len(set) == 0 {
		return nil, errors.New("the key set has no key for RS256, ES256 or EdDSA signatures")
	}
	return set, nil
}

// verifies reports whether the key is meant for signatures.
func (k *jsonWebKey) verifies() bool {
	if k.Use != "" && k.Use != "sig" {
		return false
	}
	for _, op := range k.Ops {
		if op == "verify" {
			return true
		}
	}
	return len(k.Ops) == 0
}

// public returns the key and its algorithm, or nil where it is of a kind that is not supported.
func (k *jsonWebKey) public() (crypto.PublicKey, string, error) {
	switch {
	case k.Type == "RSA":
		key, err := k.rsa()
		return key, "RS256", err
	case k.Type == "EC" && k.Curve == "P-256":
		key, err := k.ecdsa()
		return key, "ES256", err
	case k.Type == "OKP" && k.Curve == "Ed25519":
		x, err := keyBytes("x", k.X)
		if err == nil && len(x) != ed25519.PublicKeySize {
			err = fmt.Errorf("x has %d bytes, want %d", len(x), ed25519.PublicKeySize)
		}
		return ed25519.PublicKey(x), "EdDSA", err
	}
	return nil, "", nil
}

func (k *jsonWebKey) rsa() (*rsa.PublicKey, error) {
	n, err := keyBytes("n", k.N)
	if err != nil {
		return nil, err
	}
	e, err := keyBytes("e", k.E)
	if err != nil {
		return nil, err
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	switch {
	case modulus.BitLen() < minRSABits:
		return nil, fmt.Errorf("an RSA key of %d bits is too short (at least %d)", modulus.BitLen(), minRSABits)
	case exponent.BitLen() > 31 || exponent.Int64() < 3 || exponent.Bit(0) == 0:
		return nil, fmt.Errorf("e is no exponent of RSA")
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

func (k *jsonWebKey) ecdsa() (*ecdsa.PublicKey, error) {
	x, err := keyBytes("x", k.X)
	if err != nil {
		return nil, err
	}
	y, err := keyBytes("y", k.Y)
	if err != nil {
		return nil, err
	}
	const uncompressed = 4 // of a point (SEC 1, section 2.3.3)
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{uncompressed}, x...), y...))
}

func keyBytes(field, text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) == 0 {
		return nil, fmt.Errorf("%s is not base64url", field)
	}
	return b, nil
}

package main

import "encoding/binary"

// The opcodes of RFC 6455, section 5.2, that the client tells apart.
const (
	opText   = 0x1
	opBinary = 0x2
	opPing   = 0x9
	opPong   = 0xA
)

// frame cuts the first frame off data: a server's, which are not masked. ok is false while the frame is not whole.
func frame(data []byte) (op byte, payload, rest []byte, ok bool) {
	if len(data) < 2 {
		return 0, nil, nil, false
	}
	size, head := uint64(data[1]&0x7f), 2
	switch size {
	case 126:
		head = 4
		if len(data) < head {
			return 0, nil, nil, false
		}
		size = uint64(binary.BigEndian.Uint16(data[2:]))
	case 127:
		head = 10
		if len(data) < head {
			return 0, nil, nil, false
		}
		size = binary.BigEndian.Uint64(data[2:])
	}
	if uint64(len(data)-head) < size {
		return 0, nil, nil, false
	}
	end := head + int(size)
	return data[0] & 0xf, data[head:end], data[end:], true
}

// pong answers a ping. A client's frames are masked; a mask of zeros leaves the payload as it is.
func pong(payload []byte) []byte {
	out := make([]byte, 0, 6+len(payload))
	out = append(out, 0x80|opPong, 0x80|byte(len(payload)), 0, 0, 0, 0)
	return append(out, payload...)
}

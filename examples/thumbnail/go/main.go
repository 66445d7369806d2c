// Command thumbnail makes a web and a mobile size of a photograph and tells what it is.
//
// The event is {"image": base64 of a JPEG}. The answer has its metadata and two JPEGs, base64.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"log"

	"github.com/aws/aws-lambda-go/lambda"
)

// maxPixels bounds the memory that a picture may want: its header says its size before anything is decoded.
const maxPixels = 50_000_000

type event struct {
	Image []byte `json:"image"`
}

type result struct {
	Format string `json:"format"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Bytes  int    `json:"bytes"`
	Color  string `json:"color"`
	Web    *size  `json:"web"`
	Mobile *size  `json:"mobile"`
}

type size struct {
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Bytes  int    `json:"bytes"`
	Image  []byte `json:"image"`
}

func thumbnail(_ context.Context, e event) (*result, error) {
	config, err := jpeg.DecodeConfig(bytes.NewReader(e.Image))
	if err != nil {
		return nil, fmt.Errorf("not a JPEG: %w", err)
	}
	if config.Width*config.Height > maxPixels {
		return nil, errors.New("the picture has too many pixels")
	}
	photo, err := jpeg.Decode(bytes.NewReader(e.Image))
	if err != nil {
		return nil, fmt.Errorf("decode the photograph: %w", err)
	}
	r := &result{Format: "JPEG", Width: config.Width, Height: config.Height, Bytes: len(e.Image), Color: colorName(config.ColorModel)}
	if r.Web, err = resized(photo, 120); err != nil {
		return nil, err
	}
	if r.Mobile, err = resized(photo, 64); err != nil {
		return nil, err
	}
	log.Printf("%d x %d photograph, %d bytes: web %d bytes, mobile %d bytes", r.Width, r.Height, r.Bytes, r.Web.Bytes, r.Mobile.Bytes)
	return r, nil
}

func colorName(m color.Model) string {
	switch m {
	case color.GrayModel:
		return "gray"
	case color.CMYKModel:
		return "CMYK"
	default:
		return "YCbCr"
	}
}

// resized makes a JPEG whose longer side has at most the given number of pixels.
func resized(photo image.Image, longest int) (*size, error) {
	from := photo.Bounds()
	w, h := from.Dx(), from.Dy()
	if long := max(w, h); long > longest {
		w, h = max(1, w*longest/long), max(1, h*longest/long)
	}
	small := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			box := image.Rect(from.Dx()*x/w, from.Dy()*y/h, from.Dx()*(x+1)/w, from.Dy()*(y+1)/h)
			small.SetRGBA(x, y, average(photo, box.Add(from.Min)))
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, small, &jpeg.Options{Quality: 80}); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return &size{Width: w, Height: h, Bytes: out.Len(), Image: out.Bytes()}, nil
}

// average is the mean color of a box, which has at least one pixel.
func average(photo image.Image, box image.Rectangle) color.RGBA {
	var r, g, b, n uint64
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			pr, pg, pb, _ := photo.At(x, y).RGBA()
			r, g, b, n = r+uint64(pr), g+uint64(pg), b+uint64(pb), n+1
		}
	}
	n *= 257 // from 16 bits to 8
	return color.RGBA{uint8(r / n), uint8(g / n), uint8(b / n), 255}
}

func main() { lambda.Start(thumbnail) }

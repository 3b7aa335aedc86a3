// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package media

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
)

// ThumbnailSide is the longest side of a thumbnail, in pixels.
const ThumbnailSide = 320

// samplesPerSide bounds how many pixels of the picture one of the thumbnail is the
// mean of: so many a side, evenly over what it covers.
const samplesPerSide = 8

// Thumbnail decodes the copy of a picture and makes a small one of it, upright, as a
// JPEG without anything else in it. A picture that does not decode is a *Refusal.
func Thumbnail(info Info, copied io.Reader) ([]byte, error) {
	decode := jpeg.Decode
	if info.Type == "image/png" {
		decode = png.Decode
	}
	img, err := decode(copied)
	if err != nil {
		return nil, refuse(brokenPicture)
	}
	var b bytes.Buffer
	err = jpeg.Encode(&b, smallOf(img, info.Orientation), &jpeg.Options{Quality: 75})
	return b.Bytes(), err
}

// smallOf is a picture made small and turned upright, on white.
func smallOf(img image.Image, orientation int) *image.RGBA {
	src := img.Bounds()
	w, h := src.Dx(), src.Dy()
	long := max(w, h)
	small := min(long, ThumbnailSide)
	tw, th := max(1, w*small/long), max(1, h*small/long)
	ow, oh := tw, th
	if orientation >= 5 { // lies on its side
		ow, oh = th, tw
	}
	out := image.NewRGBA(image.Rect(0, 0, ow, oh))
	for y := range th {
		y0, y1 := y*h/th, max((y+1)*h/th, y*h/th+1)
		for x := range tw {
			x0, x1 := x*w/tw, max((x+1)*w/tw, x*w/tw+1)
			ox, oy := upright(x, y, tw, th, orientation)
			out.SetRGBA(ox, oy, mean(img, src.Min.X+x0, src.Min.Y+y0, src.Min.X+x1, src.Min.Y+y1))
		}
	}
	return out
}

// upright is where the pixel x, y of a stored picture of w by h stands when the
// picture is shown, by the orientations of EXIF.
func upright(x, y, w, h, orientation int) (int, int) {
	switch orientation {
	case 2:
		return w - 1 - x, y
	case 3:
		return w - 1 - x, h - 1 - y
	case 4:
		return x, h - 1 - y
	case 5:
		return y, x
	case 6:
		return h - 1 - y, x
	case 7:
		return h - 1 - y, w - 1 - x
	case 8:
		return y, w - 1 - x
	}
	return x, y
}

// mean is the mean colour of a box, over white.
func mean(img image.Image, x0, y0, x1, y1 int) color.RGBA {
	stepX, stepY := max(1, (x1-x0)/samplesPerSide), max(1, (y1-y0)/samplesPerSide)
	var r, g, b, n uint64
	for y := y0; y < y1; y += stepY {
		for x := x0; x < x1; x += stepX {
			cr, cg, cb, ca := img.At(x, y).RGBA()
			white := uint64(0xffff - ca)
			r, g, b, n = r+uint64(cr)+white, g+uint64(cg)+white, b+uint64(cb)+white, n+1
		}
	}
	return color.RGBA{uint8(r / n >> 8), uint8(g / n >> 8), uint8(b / n >> 8), 0xff}
}

//! A bitmap that plotters draws on, with text in fixed-width bitmap fonts, and its PNG.
//!
//! The fonts are those of X11 that come with embedded-graphics, in the public domain: no font file is needed, nor a
//! font library. They have Latin letters only; other characters show as a question mark.

use std::convert::Infallible;

use anyhow::{Context, Result};
use embedded_graphics::{
    Drawable, Pixel,
    draw_target::DrawTarget,
    geometry::{OriginDimensions, Point, Size},
    mono_font::{
        MonoFont, MonoTextStyle,
        iso_8859_1::{FONT_7X13, FONT_9X18_BOLD},
    },
    pixelcolor::BinaryColor,
    text::{Baseline, Text},
};
use plotters_backend::{
    BackendColor, BackendCoord, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    text_anchor::{HPos, VPos},
};

/// Three bytes a pixel: red, green, blue.
#[derive(Debug)]
pub(super) struct Canvas<'a> {
    width: u32,
    height: u32,
    pixels: &'a mut [u8],
}

/// Text up to this size is set in the small font.
const SMALL_MAX: f64 = 15.0;

/// White pixels for a canvas of this size.
pub(super) fn blank((width, height): (u32, u32)) -> Vec<u8> {
    vec![255; width as usize * height as usize * 3]
}

/// Pixels as a PNG file.
pub(super) fn png(pixels: &[u8], (width, height): (u32, u32)) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().context("encode the PNG")?;
    writer.write_image_data(pixels).context("encode the PNG")?;
    writer.finish().context("encode the PNG")?;
    Ok(bytes)
}

impl<'a> Canvas<'a> {
    /// Draws on pixels that [`blank`] gave for the same size.
    pub(super) fn new(pixels: &'a mut [u8], (width, height): (u32, u32)) -> Self {
        Self {
            width,
            height,
            pixels,
        }
    }

    fn blend(&mut self, (x, y): BackendCoord, color: BackendColor) {
        let inside = (0..self.width as i32).contains(&x) && (0..self.height as i32).contains(&y);
        if !inside {
            return;
        }
        let at = (y as usize * self.width as usize + x as usize) * 3;
        let (red, green, blue) = color.rgb;
        for (byte, channel) in self.pixels[at..at + 3].iter_mut().zip([red, green, blue]) {
            let mixed = f64::from(*byte) * (1.0 - color.alpha) + f64::from(channel) * color.alpha;
            *byte = mixed.round() as u8;
        }
    }
}

fn font(size: f64) -> &'static MonoFont<'static> {
    if size <= SMALL_MAX {
        &FONT_7X13
    } else {
        &FONT_9X18_BOLD
    }
}

fn text_size(text: &str, size: f64) -> (u32, u32) {
    let character = font(size).character_size;
    (character.width * text.chars().count() as u32, character.height)
}

impl DrawingBackend for Canvas<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    fn ensure_prepared(&mut self) -> Result<(), DrawingErrorKind<Infallible>> {
        Ok(())
    }

    fn present(&mut self) -> Result<(), DrawingErrorKind<Infallible>> {
        Ok(())
    }

    fn draw_pixel(
        &mut self,
        point: BackendCoord,
        color: BackendColor,
    ) -> Result<(), DrawingErrorKind<Infallible>> {
        self.blend(point, color);
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        (x, y): BackendCoord,
    ) -> Result<(), DrawingErrorKind<Infallible>> {
        let (width, height) = text_size(text, style.size());
        let (width, height) = (width as i32, height as i32);
        let left = match style.anchor().h_pos {
            HPos::Left => x,
            HPos::Center => x - width / 2,
            HPos::Right => x - width,
        };
        let top = match style.anchor().v_pos {
            VPos::Top => y,
            VPos::Center => y - height / 2,
            VPos::Bottom => y - height,
        };
        let mut ink = Ink {
            canvas: self,
            color: style.color(),
        };
        let letters = MonoTextStyle::new(font(style.size()), BinaryColor::On);
        let Ok(_) = Text::with_baseline(text, Point::new(left, top), letters, Baseline::Top).draw(&mut ink);
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        Ok(text_size(text, style.size()))
    }
}

/// Where letters are drawn: the canvas, in one colour.
struct Ink<'a, 'b> {
    canvas: &'a mut Canvas<'b>,
    color: BackendColor,
}

impl OriginDimensions for Ink<'_, '_> {
    fn size(&self) -> Size {
        Size::new(self.canvas.width, self.canvas.height)
    }
}

impl DrawTarget for Ink<'_, '_> {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(at, color) in pixels {
            if color.is_on() {
                self.canvas.blend((at.x, at.y), self.color);
            }
        }
        Ok(())
    }
}

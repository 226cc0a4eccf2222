//! The picture: what was measured beside the forecast made one horizon before, with its band.
//!
//! Above the whole history, below a stretch of it that is long enough to see each step: about the beginning of the
//! highest overload. Strips under both mark where the load was over the threshold and where the alarm on the 0.9 path was on.
//!
//! SVG and PNG are drawn by plotters. Its PNG text would need a font file of the system, so labels there are set in the
//! bitmap fonts of [`canvas`].

mod axis;
mod canvas;
mod columns;
mod panel;
mod track;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use foreshift_forecast::series::Series;
use plotters::{
    backend::{DrawingBackend, SVGBackend},
    drawing::{DrawingArea, IntoDrawingArea},
    style::{BLACK, IntoFont, TextStyle, WHITE},
};

pub(super) use track::Track;

use crate::usage::usage;

/// Width and height in pixels.
const SIZE: (u32, u32) = (1_200, 760);
/// Steps up to which one panel shows them all.
const STEPS_IN_FULL: usize = 600;

/// What the picture says in words.
#[derive(Debug)]
pub(super) struct Labels {
    pub(super) title: String,
    pub(super) horizon: String,
    pub(super) has_times: bool,
    pub(super) threshold: Option<f64>,
}

/// Kind of file, by its ending.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Svg,
    Png,
}

/// A file to draw to; refuses endings other than `.svg` and `.png`.
pub(crate) fn file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    kind(&path).map(|_| path)
}

fn kind(path: &Path) -> Result<Kind, String> {
    let ending = path
        .extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "svg" => Ok(Kind::Svg),
        "png" => Ok(Kind::Png),
        _ => Err("its name must end in .svg or .png".into()),
    }
}

/// Draws and writes the file.
pub(super) fn write(path: &Path, series: &Series, track: &Track, labels: &Labels) -> Result<()> {
    let bytes = match kind(path).map_err(usage)? {
        Kind::Svg => {
            let mut text = String::new();
            draw(SVGBackend::with_string(&mut text, SIZE), series, track, labels)?;
            text.into_bytes()
        }
        Kind::Png => {
            let mut pixels = canvas::blank(SIZE);
            draw(canvas::Canvas::new(&mut pixels, SIZE), series, track, labels)?;
            canvas::png(&pixels, SIZE)?
        }
    };
    std::fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
}

fn draw<B: DrawingBackend>(backend: B, series: &Series, track: &Track, labels: &Labels) -> Result<()> {
    let area = backend.into_drawing_area();
    // Errors of a drawing backend cannot be held; their text can.
    draw_on(&area, series, track, labels).map_err(|error| anyhow!("draw the plot: {error}"))
}

fn draw_on<B: DrawingBackend>(
    area: &DrawingArea<B, plotters::coord::Shift>,
    series: &Series,
    track: &Track,
    labels: &Labels,
) -> Result<(), String> {
    let text = |error: plotters::drawing::DrawingAreaErrorKind<B::ErrorType>| error.to_string();
    area.fill(&WHITE).map_err(text)?;
    let title = TextStyle::from(("sans-serif", 18).into_font()).color(&BLACK);
    area.draw_text(&labels.title, &title, (16, 10)).map_err(text)?;
    panel::legend(area, labels, (16, 36)).map_err(text)?;
    let (_, panels) = area.split_vertically(58);
    let all = 0..series.len();
    match track.telling_stretch() {
        Some(stretch) if series.len() > STEPS_IN_FULL => {
            let (above, below) = panels.split_vertically((SIZE.1 - 58) / 2);
            panel::draw(&above, series, track, labels, all).map_err(text)?;
            panel::draw(&below, series, track, labels, stretch).map_err(text)?;
        }
        _ => panel::draw(&panels, series, track, labels, all).map_err(text)?,
    }
    area.present().map_err(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_can_be_drawn_are_taken() {
        for (name, kind) in [
            ("a.svg", Some(Kind::Svg)),
            ("b/c.PNG", Some(Kind::Png)),
            ("a.jpg", None),
            ("svg", None),
        ] {
            assert_eq!(super::kind(Path::new(name)).ok(), kind, "{name}");
        }
    }
}

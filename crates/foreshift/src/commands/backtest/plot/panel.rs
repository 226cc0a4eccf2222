//! One panel: the curves over a stretch of the series.

use std::ops::Range;

use foreshift_forecast::series::Series;
use plotters::{
    chart::{ChartBuilder, ChartContext},
    coord::{Shift, cartesian::Cartesian2d, types::RangedCoordf64},
    drawing::{DrawingArea, DrawingAreaErrorKind},
    element::{PathElement, Polygon, Rectangle},
    prelude::DrawingBackend,
    style::{BLACK, Color, IntoFont, RGBColor, ShapeStyle, TextStyle},
};

use super::{
    Labels,
    axis::Axis,
    columns::{Column, runs, split},
    track::Track,
};

const ACTUAL: RGBColor = RGBColor(40, 40, 40);
const FORECAST: RGBColor = RGBColor(20, 100, 210);
const THRESHOLD: RGBColor = RGBColor(200, 30, 30);
const ALARM: RGBColor = RGBColor(240, 150, 0);
/// How strong the band is.
const BAND: f64 = 0.25;
/// Columns that are told apart.
const COLUMNS: usize = 1_100;

type Fallible<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;
type Chart<'a, B> = ChartContext<'a, B, Cartesian2d<Axis, RangedCoordf64>>;

/// What each colour is, from `at` to the right.
pub(super) fn legend<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    labels: &Labels,
    at: (i32, i32),
) -> Fallible<B> {
    let forecast = format!("forecast {} before", labels.horizon);
    let mut entries = vec![
        (ACTUAL.to_rgba(), "measured"),
        (FORECAST.to_rgba(), forecast.as_str()),
        (FORECAST.mix(BAND), "its 90 % band"),
    ];
    if labels.threshold.is_some() {
        entries.extend([
            (THRESHOLD.to_rgba(), "threshold, and above it"),
            (ALARM.to_rgba(), "alarm on the 0.9 path"),
        ]);
    }
    let style = TextStyle::from(("sans-serif", 14).into_font()).color(&BLACK);
    let mut x = at.0;
    for (colour, name) in entries {
        area.draw(&Rectangle::new(
            [(x, at.1 + 3), (x + 22, at.1 + 11)],
            colour.filled(),
        ))?;
        area.draw_text(name, &style, (x + 28, at.1))?;
        x += 28 + 8 * name.chars().count() as i32 + 20;
    }
    Ok(())
}

/// Draws the curves of a stretch.
pub(super) fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    series: &Series,
    track: &Track,
    labels: &Labels,
    stretch: Range<usize>,
) -> Fallible<B> {
    let (low, high) = bounds(series, track, labels.threshold, &stretch);
    // Room for the strips under the curves.
    let strip = (high - low) * 0.03;
    let floor = low - 3.0 * strip;
    let axis = Axis::new(series, &stretch, labels.has_times);
    let mut chart = ChartBuilder::on(area)
        .margin_right(48)
        .margin_top(8)
        .x_label_area_size(28)
        .y_label_area_size(78)
        .build_cartesian_2d(axis, floor..high)?;
    let text = TextStyle::from(("sans-serif", 13).into_font()).color(&BLACK);
    let grid = ShapeStyle::from(BLACK.mix(0.08));
    chart
        .configure_mesh()
        .bold_line_style(grid)
        .light_line_style(ShapeStyle::from(BLACK.mix(0.0)))
        .axis_style(BLACK.mix(0.4))
        .y_labels(6)
        .label_style(text)
        .y_label_formatter(&|y| number(*y))
        .draw()?;
    band(&mut chart, track, &stretch)?;
    curve(&mut chart, &track.point, &stretch, FORECAST)?;
    curve(&mut chart, series.values(), &stretch, ACTUAL)?;
    if let Some(level) = labels.threshold {
        let ends = vec![(stretch.start as f64, level), (stretch.end as f64, level)];
        chart.draw_series([PathElement::new(ends, THRESHOLD)])?;
        let is_over = |i: usize| series.values()[i] > level;
        marks(
            &mut chart,
            &stretch,
            (low - strip, low - 0.2 * strip),
            THRESHOLD,
            is_over,
        )?;
        let is_alarm = |i: usize| track.alarm[i];
        marks(
            &mut chart,
            &stretch,
            (low - 2.2 * strip, low - 1.4 * strip),
            ALARM,
            is_alarm,
        )?;
    }
    Ok(())
}

/// What the axis of values spans: what was measured, the forecasts, and the threshold; a band only as far as twice that.
fn bounds(series: &Series, track: &Track, threshold: Option<f64>, stretch: &Range<usize>) -> (f64, f64) {
    let curves = [series.values(), &track.point];
    let values = curves
        .iter()
        .flat_map(|curve| curve[stretch.clone()].iter())
        .copied();
    let values = values.chain(threshold).filter(|y| !y.is_nan());
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| {
        (low.min(y), high.max(y))
    });
    if low > high {
        return (0.0, 1.0);
    }
    // Load is seen from 0 unless it is far from it.
    let low = if low > 0.0 && low < high / 2.0 { 0.0 } else { low };
    let high_of_band = track.high[stretch.clone()].iter().copied().fold(high, f64::max);
    let high = high_of_band.min(high + (high - low) * 0.5);
    if high - low < 1e-12 * high.abs().max(f64::MIN_POSITIVE) {
        return (
            low - 1.0_f64.max(low.abs() * 0.1),
            high + 1.0_f64.max(high.abs() * 0.1),
        );
    }
    (low, high + (high - low) * 0.05)
}

fn band<B: DrawingBackend>(chart: &mut Chart<'_, B>, track: &Track, stretch: &Range<usize>) -> Fallible<B> {
    let lower = runs(&track.low, stretch.clone(), COLUMNS);
    let upper = runs(&track.high, stretch.clone(), COLUMNS);
    let polygon = |(lower, upper): (&Vec<Column>, &Vec<Column>)| {
        let below = lower.iter().map(|column| (column.at, column.low));
        let above = upper.iter().rev().map(|column| (column.at, column.high));
        Polygon::new(
            below.chain(above).collect::<Vec<_>>(),
            FORECAST.mix(BAND).filled(),
        )
    };
    chart.draw_series(lower.iter().zip(&upper).map(polygon))?;
    Ok(())
}

/// A line through the columns, down and up within each.
fn curve<B: DrawingBackend>(
    chart: &mut Chart<'_, B>,
    values: &[f64],
    stretch: &Range<usize>,
    colour: RGBColor,
) -> Fallible<B> {
    let line = |run: &Vec<Column>| {
        let mut points = Vec::with_capacity(run.len() * 2);
        for column in run {
            points.push((column.at, column.low));
            if column.high > column.low {
                points.push((column.at, column.high));
            }
        }
        PathElement::new(points, colour)
    };
    let runs = runs(values, stretch.clone(), COLUMNS);
    chart.draw_series(runs.iter().map(line))?;
    Ok(())
}

/// A strip with a mark wherever `is_marked`.
fn marks<B: DrawingBackend>(
    chart: &mut Chart<'_, B>,
    stretch: &Range<usize>,
    (low, high): (f64, f64),
    colour: RGBColor,
    is_marked: impl Fn(usize) -> bool,
) -> Fallible<B> {
    let marked = split(stretch.clone(), COLUMNS).filter(|range| range.clone().any(&is_marked));
    let mark = |range: Range<usize>| {
        Rectangle::new(
            [(range.start as f64, low), (range.end as f64, high)],
            colour.filled(),
        )
    };
    chart.draw_series(marked.map(mark))?;
    Ok(())
}

/// A label of the axis of values.
fn number(y: f64) -> String {
    match y.abs() {
        0.0 => "0".into(),
        size if !(1e-3..1e9).contains(&size) => format!("{y:.1e}"),
        size if size >= 1e6 => format!("{} M", trimmed(y / 1e6)),
        size if size >= 1e4 => format!("{} k", trimmed(y / 1e3)),
        _ => trimmed(y),
    }
}

fn trimmed(y: f64) -> String {
    let text = format!("{y:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

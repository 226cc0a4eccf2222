//! Online load forecasting with honest intervals: models, selection, seasonality.

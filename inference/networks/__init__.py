"""The cycle detector and the landmark network: layers, preprocessing, weights, device."""

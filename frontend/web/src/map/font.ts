// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

/** What every map writes in: the font of the pages, then those of a Chinese desktop. */
export const FONT = '"Noto Sans SC Variable", "Noto Sans CJK SC", "Noto Sans SC", sans-serif';

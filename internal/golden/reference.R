# SPDX-FileCopyrightText: The OneMap authors
# SPDX-License-Identifier: Apache-2.0
#
# Rscript reference.R WHAT IN OUT: reads and writes CSV. Its answers have 12 digits.

args <- commandArgs(trailingOnly = TRUE)
d <- read.csv(args[2], colClasses = "character")
number <- function(column) as.numeric(d[[column]])

# Gi* of counts over cells whose neighbours are listed by their row numbers, from 1 and
# without the cell itself; p and q of the tested ones.
localg <- function() {
  suppressPackageStartupMessages(library(spdep))
  near <- lapply(strsplit(d$near, " "), function(x) if (length(x) == 0) 0L else as.integer(x))
  class(near) <- "nb"
  attr(near, "region.id") <- as.character(seq_along(near))
  z <- as.numeric(localG(number("count"), nb2listw(include.self(near), style = "B")))
  tested <- d$tested == "1"
  p <- ifelse(tested, 2 * pnorm(-abs(z)), NA)
  q <- rep(NA, length(p))
  q[tested] <- p.adjust(p[tested], method = "fdr")
  data.frame(z = z, p = p, q = q)
}

# The rate of a later period by that of an earlier one; p is twice the smaller tail.
ratio <- function() {
  one <- function(before, after, times) {
    ci <- poisson.test(c(after, before), c(times, 1))$conf.int
    share <- times / (1 + times)
    n <- before + after
    p <- min(1, 2 * pbinom(after, n, share), 2 * pbinom(after - 1, n, share, lower.tail = FALSE))
    c(low = ci[1], high = ci[2], p = p)
  }
  out <- as.data.frame(t(mapply(one, number("before"), number("after"), number("times"))))
  out$q <- ave(out$p, d$times, FUN = function(p) p.adjust(p, method = "fdr"))
  out
}

# Kendall's correlation of each row's values with time, which is the test of Mann.
trend <- function() {
  one <- function(x) {
    r <- cor.test(x, seq_along(x), method = "kendall", exact = FALSE, continuity = TRUE)
    c(tau = unname(r$estimate), z = unname(r$statistic), p = r$p.value)
  }
  as.data.frame(t(sapply(strsplit(d$values, " "), function(x) one(as.numeric(x)))))
}

out <- switch(args[1], localg = localg(), ratio = ratio(), trend = trend())
for (column in names(out)) out[[column]] <- ifelse(is.na(out[[column]]), "", sprintf("%.12g", out[[column]]))
write.csv(cbind(d, out), args[3], row.names = FALSE, quote = FALSE)

package Lint;
use v5.36;

# What the lint tests share: finding and reading the sources, and C without its comments.

use Exporter 'import';
use FindBin;
use Test::More ();

our @EXPORT = qw(none files slurp lines code stem sources);

# All paths are relative to the top of the sources.
chdir($ENV{srcdir} // "$FindBin::Bin/../..") or die "no sources: $!";

# A test that a list is empty; tells what is in it.
sub none ($list, $name) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return Test::More::ok(!@$list, $name) || Test::More::diag(map { "    $_\n" } @$list);
}

# Files that match one of the patterns of glob(), sorted.
sub files (@patterns) {
    my @files = sort grep { -f } map { glob } @patterns;
    return @files;
}

# The patterns of all sources.
sub sources ($suffix = '[ch]') { return map { "src/$_.$suffix" } '*/*', '*/*/*' }

sub slurp ($path) {
    open my $in, '<:raw', $path or die "cannot read $path: $!";
    local $/;
    return scalar(<$in>) // '';
}

sub lines ($path) { return split /\n/, slurp($path) }

# C text with comments blanked out and strings emptied; lines stay where they are.
sub code ($path) {
    my $text  = slurp($path);
    my $token = qr{ (?<comment> /\*.*?\*/ | //[^\n]* )
                  | " (?: [^"\\\n] | \\. )* "
                  | ' (?: [^'\\\n] | \\. )* ' }xs;
    $text =~ s{$token}{ defined $+{comment} ? $+{comment} =~ s/[^\n]/ /gr : q("") }ge;
    return $text;
}

# src/util/buf.c -> buf
sub stem ($path) { return $path =~ s{^.*/|\.[ch]$}{}gr }

1;

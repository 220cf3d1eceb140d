#!/usr/bin/perl
# Names that can be told apart in a debugger and in a stack trace, memory from one place only, and
# no function that nobody calls.
use v5.36;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

my @sources = files(sources());
my %text    = map { $_ => code($_) } @sources, files('tests/unit/*.[ch]', 'tests/fuzz/*.[ch]', 'tests/bench/*.c');

# By our layout a definition has its type on one line and its name at the start of the next.
my (%static, @all);
for my $file (grep { /\.c$/ } @sources) {
    while ($text{$file} =~ /^(static\b[^\n;={]*)?\n(\w+)\(/mg) {
        push @all, [ $2, $file ];
        push @{ $static{$2} }, $file if defined $1;
    }
}
cmp_ok(scalar(keys %static), '>', 500, 'static functions are found');

none([ map { "$_: @{ $static{$_} }" } grep { @{ $static{$_} } > 1 } sort keys %static ],
    'no two files have a static function of the same name');

# These say nothing even where they stand once.
my %says_nothing = map { $_ => 1 } qw(see make_key no_memory add visit load begin take find refuse put
    fill finish answer step settle say end drop work start stop run look count check copy next keep);
none([ map { "$_: @{ $static{$_} }" } grep { $says_nothing{$_} } sort keys %static ],
    'and each of their names says what is done to what');

my $heap = qr/\b(malloc|calloc|realloc|reallocarray|strdup|strndup|asprintf|vasprintf)\s*\(/;
none([ grep { $_ ne 'src/util/mem.c' && $text{$_} =~ $heap } @sources ], 'only util/mem.c asks the heap for memory');

# A function is used when its name stands somewhere else than in its definition and declaration.
my %uses;
for my $file (sort keys %text) {
    $uses{$_}++ for $text{$file} =~ /\b([a-z]\w+)\b/g;
}
for my $header (grep { /\.h$/ } @sources) {
    my %declared = map { $_ => 1 } $text{$header} =~ /\b([a-z]\w+)\s*\(/g;
    $uses{$_}-- for keys %declared;
}
none([ map { "$_->[1]: $_->[0]" } grep { $_->[0] !~ /^(main|_\w+)$/ && $uses{ $_->[0] } < 2 } @all ], 'each function has a caller');
done_testing();

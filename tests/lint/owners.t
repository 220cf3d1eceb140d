#!/usr/bin/perl
# One library, one owner; one rule, one place; one file, one prefix; the banned functions are banned everywhere.
use v5.36;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

# Who may include a header: of libraries, and of the fillings.
my @owners = (
    [ qr{^storage/kv/bdb},        qr{^src/storage/kv/(bdb\w*|kv_open)\.[ch]$} ],
    [ qr{^storage/kv/pg},         qr{^src/storage/kv/(pg\w*|kv_open)\.[ch]$} ],
    [ qr{^libpq},                 qr{^src/storage/kv/pg\w*\.[ch]$} ],
    [ qr{^storage/kv/kv_filling}, qr{^src/storage/kv/\w+\.[ch]$} ],
    [ qr{^db\.h$},                qr{^src/storage/kv/bdb\w*\.[ch]$} ],
    [ qr{^(json-c/)?json\w*\.h$}, qr{^src/util/json\.c$} ],
    [ qr{^openssl/},              qr{^src/util/(digest|certificate)\.c$} ],
    [ qr{^crypt\.h$},             qr{^src/domain/access/password_hash\.c$} ],
    [ qr{^apr\w*\.h$},           qr{^src/domain/access/password_hash\.c$} ],
    [ qr{^fcgi\w*\.h$},           qr{^src/process/worker/fcgi\.c$} ],
    [ qr{^storage/layers/tar_library}, qr{^src/storage/layers/(tar_(library|scan|unpack)|tarsum)\.c$} ],
    [ qr{^archive\w*\.h$},        qr{^src/storage/layers/tar_library\.h$} ],
    [ qr{^zlib\.h$},              qr{^src/storage/layers/(inflate_gzip|inflate_zlib|sorted_format)\.c$} ],
    [ qr{^zstd\w*\.h$},           qr{^src/storage/layers/(inflate_zstd|sorted_file|sorted_writer)\.c$} ],
    [ qr{^lzma\.h$},              qr{^src/storage/layers/inflate_xz\.c$} ],
    [ qr{^bzlib\.h$},             qr{^src/storage/layers/inflate_bzip2\.c$} ],
    [ qr{^storage/s3/s3_library}, qr{^src/storage/s3/s3_(exchange|library)\.c$} ],
    [ qr{^curl/},                 qr{^src/storage/s3/s3_library\.h$} ],
    [ qr{^isa-l/},                qr{^src/storage/layers/inflate_isal\.c$} ],
);

# Where a word may stand, besides declarations. src/README, section 2, sends its readers there.
my @places = (
    [ 'asks the heap for memory',   qr{^(malloc|calloc|realloc|reallocarray|aligned_alloc|posix_memalign|strdup|strndup|v?asprintf)$}, qr{^src/util/mem\.c$} ],
    [ 'writes a tag',               qr{^tbl_(tag_(put|drop)|tag_log_add)$}, qr{^src/(domain/core/tag_move|storage/tables/tbl_tag(_log)?)\.c$} ],
    [ 'knows the record of a tag',  qr{^(record_tag|TABLE_TAG)$},       qr{^src/(storage/tables/(tables|record|tbl_tag|tbl_entry)|domain/check/check_\w+)\.[ch]$} ],
    [ 'makes a file a blob',        qr{^blob_file_(publish|adopt|write)$}, qr{^src/(domain/core/blob_draft|storage/files/blob_file)\.c$} ],
    [ 'begins or ends a repository', qr{^tbl_repo_(put|drop)$},         qr{^src/(domain/core/repository|storage/tables/tbl_repo)\.c$} ],
    [ 'writes to the database',     qr{^kv_(put|drop|delete|append|place)$},  qr{^src/storage/(kv|tables)/\w+\.[ch]$} ],
);

# What a header may export although it doesn't begin with the header's name.
my %exceptions = (
    'src/util/pack.h'             => qr/^unpack_/,
    'src/storage/kv/kv.h'         => qr/^txn_run(_anyway)?$/,
    'src/storage/kv/kv_open.h'    => qr/^kv_(recover|close)$/,
    'src/storage/tables/record.h' => qr/^rec_/,
);

my @sources  = sources();
my $includes = includes();
my %declared = map { $_ => [ declarations($_) ] } @sources;

for my $owner (@owners) {
    my ($header, $file) = @$owner;
    my @bad;
    for my $source (grep { !/$file/ } @sources) {
        push @bad, map { "$source: $_" } grep { substr($_, 1, -1) =~ $header } @{ $includes->{$source} };
    }
    none(\@bad, "<$header> is included by its owner only");
}

for my $place (@places) {
    my ($does, $word, $file) = @$place;
    my %found;
    for my $source (@sources) {
        $found{$source} = 1 if grep { $_->{kind} ne 'prototype' && grep { /$word/ } keys %{ $_->{words} } } @{ $declared{$source} };
    }
    cmp_ok(scalar(grep { /$file/ } keys %found), '>', 0, "there is a place that $does");
    none([ grep { !/$file/ } sort keys %found ], '... and only one');
}

# The compiler refuses a banned function: Makefile.am has it include util/banned.h before each source.
sub compiles ($code) {
    open my $cc, '|-', 'cc -Isrc -include util/banned.h -fsyntax-only -xc - 2>/dev/null' or die "cc: $!";
    print {$cc} "$code\n";
    return close $cc;
}
like(slurp('Makefile.am'), qr{^AM_CPPFLAGS = .*-include util/banned\.h}m, 'each source is compiled with util/banned.h');
ok(compiles('size_t f(char *p) { return strlen(p); }'), '... which allows a function that is not banned');
ok(!compiles('void f(char *p) { strcpy(p, p); }'), '... and no other');
none([ grep { /\.h$/ && slurp($_) !~ /^#pragma once$/m } @sources ], 'each header is included once');

my (@foreign, $count);
for my $header (grep { /\.h$/ } @sources) {
    my $stem = stem($header) =~ s/s$//r;    # pools.h: pools, pool_workers
    for my $name (map { $_->{name} } grep { $_->{kind} =~ /^(function|prototype)$/ } @{ $declared{$header} }) {
        $count++;
        next if $name =~ /^\Q$stem\Es?(_|$)/ || $exceptions{$header} && $name =~ $exceptions{$header};
        push @foreign, "$header: $name";
    }
}
cmp_ok($count, '>', 50, 'headers export something');
none(\@foreign, "what a header exports begins with the header's name");
done_testing();

"""The question, asked of Spark: spark-submit question.py s3a://heap-dumps/tables question.sql"""

import sys

from pyspark.sql import SparkSession

tables, question = sys.argv[1:]
spark = SparkSession.builder.appName("heap-question").getOrCreate()
spark.read.parquet(f"{tables}/classes").createOrReplaceTempView("classes")
with open(question, encoding="utf-8") as text:
    rows = spark.sql(text.read())
for row in rows.toJSON().collect():
    print(row)
